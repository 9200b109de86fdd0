/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <gnuradio/diffsem/core/base/fields.h>

#include <gnuradio/diffsem/core/base/entry.h>

#include <algorithm>
#include <cmath>
#include <vector>

namespace gr {
namespace diffsem {
namespace core {

namespace {

std::string shape_text(const std::vector<std::int64_t>& shape)
{
    std::string text;
    for (std::size_t i = 0; i < shape.size(); i++)
        text += (i ? " x " : "") + (shape[i] < 0 ? std::string("any") : std::to_string(shape[i]));
    return text;
}

// A flat list of numbers and of pairs; false where it holds anything else.
bool read_list(const Json& list, NpyArray& array)
{
    const auto& items = list.items();
    array.is_complex =
        std::any_of(items.begin(), items.end(), [](const Json& item) { return item.is_array(); });
    array.shape = {std::int64_t(items.size())};
    for (const Json& item : items) {
        const bool pair = item.is_array() && item.size() == 2 && item.items()[0].is_number() &&
                          item.items()[1].is_number();
        if (!pair && !item.is_number())
            return false;
        array.data.push_back(pair ? item.items()[0].as_double() : item.as_double());
        if (array.is_complex)
            array.data.push_back(pair ? item.items()[1].as_double() : 0.0);
    }
    return true;
}

} // namespace

Json typed(const Json& value, const char* fallback)
{
    if (value.is_object())
        return value;
    Json object = Json::object();
    object.set("type", value.is_null() ? Json(fallback) : value);
    return object;
}

Fields::Fields(const Json& object,
               std::string where,
               const std::vector<std::string>& known,
               const Files* files)
    : d_object(object),
      d_where(std::move(where)),
      d_files(files)
{
    if (!object.is_object())
        throw Error(d_where + " must be an object {...}, found " + object.dump().substr(0, 60));
    for (const auto& m : object.members())
        if (std::find(known.begin(), known.end(), m.first) == known.end())
            throw Error(d_where + ": the key '" + m.first + "' is unknown" +
                        suggestion(m.first, known));
}

void Fields::fail(const std::string& key, const std::string& message) const
{
    throw Error(d_where + "." + key + " = " + d_object[key].dump().substr(0, 60) + ": " + message);
}

std::string Fields::text(const std::string& key) const
{
    if (!has(key))
        throw Error(d_where + ": the key '" + key + "' is missing");
    return text(key, "");
}

std::string Fields::text(const std::string& key, const std::string& fallback) const
{
    if (!has(key))
        return fallback;
    if (!d_object[key].is_string())
        fail(key, "must be a string");
    return d_object[key].as_string();
}

double Fields::number(const std::string& key, double fallback) const
{
    if (!has(key))
        return fallback;
    if (!d_object[key].is_number() || !std::isfinite(d_object[key].as_double()))
        fail(key, "must be a number");
    return d_object[key].as_double();
}

int Fields::integer(const std::string& key, int fallback) const
{
    const double v = number(key, fallback);
    if (v != double(int(std::max(-1e9, std::min(1e9, v)))))
        fail(key, "must be a whole number");
    return int(v);
}

bool Fields::flag(const std::string& key, bool fallback) const
{
    if (!has(key))
        return fallback;
    if (!d_object[key].is_bool())
        fail(key, "must be true or false");
    return d_object[key].as_bool();
}

std::vector<std::string> Fields::names(const std::string& key) const
{
    std::vector<std::string> list;
    if (!has(key))
        return list;
    if (!d_object[key].is_array())
        fail(key, "must be a list of names");
    for (const Json& item : d_object[key].items()) {
        if (!item.is_string())
            fail(key, "must be a list of names");
        list.push_back(item.as_string());
    }
    return list;
}

Fields Fields::object(const std::string& key, const std::vector<std::string>& known) const
{
    return Fields(d_object[key], d_where + "." + key, known, d_files);
}

std::string Fields::file(const std::string& key) const
{
    const std::string name = text(key);
    if (!d_files)
        fail(key, "there is no package whose file this could be");
    return d_files->path(name, d_where + "." + key);
}

const LoadOptions& Fields::load_options() const
{
    static const LoadOptions defaults;
    return d_files ? d_files->load_options() : defaults;
}

NpyArray Fields::array(const std::string& key, const std::vector<std::int64_t>& shape) const
{
    NpyArray array;
    if (has(key) && !d_object[key].is_array() && !d_object[key].is_string())
        fail(key, "must be the name of a .npy file, or a list of numbers");
    if (!d_object[key].is_array())
        array = read_npy(file(key), d_files->load_options().max_model_bytes);
    else if (!read_list(d_object[key], array))
        fail(key, "must be a list of numbers, complex ones as pairs [real, imaginary]");
    bool fits = array.shape.size() == shape.size();
    for (std::size_t i = 0; fits && i < shape.size(); i++)
        fits = shape[i] < 0 || array.shape[i] == shape[i];
    if (!fits)
        fail(key,
             "its shape is " + shape_text(array.shape) + ", signal.shape and the weights ask for " +
                 shape_text(shape));
    return array;
}

} // namespace core
} // namespace diffsem
} // namespace gr
