/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <gnuradio/diffsem/core/priors/side_input.h>

#include <gnuradio/diffsem/core/base/entry.h>
#include <gnuradio/diffsem/core/base/fields.h>

#include <algorithm>
#include <cctype>
#include <cmath>
#include <iomanip>
#include <sstream>

namespace gr {
namespace diffsem {
namespace core {

namespace {

constexpr float largest_integer = 16777216.0f; // 2^24: floats hold all below it
constexpr std::size_t max_values = std::size_t(1) << 20;
constexpr std::size_t max_inputs = 32;

bool is_name(const std::string& name)
{
    const auto letter = [](char c) {
        return std::isalpha(static_cast<unsigned char>(c)) || c == '_';
    };
    return !name.empty() && name.size() <= 64 && letter(name[0]) &&
           std::all_of(name.begin(), name.end(), [&](char c) {
               return letter(c) || std::isdigit(static_cast<unsigned char>(c));
           });
}

std::string number(float v)
{
    std::ostringstream text;
    text << std::setprecision(9) << v;
    return text.str();
}

// What a value may be, in words, of an input that has one end at least.
std::string range(const SideInput& input)
{
    return !std::isfinite(input.most) ? "values from " + number(input.least)
           : !std::isfinite(input.least)
               ? "values up to " + number(input.most)
               : "values of " + number(input.least) + " .. " + number(input.most);
}

void read_range(const Fields& fields, SideInput& input)
{
    input.least = float(fields.number("least", double(input.least)));
    input.most = float(fields.number("most", double(input.most)));
    if (!(input.least <= input.most))
        fields.fail("most", "must be at least what `least` is");
}

void read_shape(const Json& shape, const Fields& fields, SideInput& input)
{
    bool fits = shape.is_null() || (shape.is_array() && shape.size() <= 4);
    for (std::size_t i = 0; fits && shape.is_array() && i < shape.size(); i++) {
        const Json& n = shape.items()[i];
        fits = n.is_number() && n.as_double() == std::floor(n.as_double()) && n.as_double() >= 1 &&
               n.as_double() <= double(max_values / input.count);
        if (fits) {
            input.shape.push_back(n.as_int());
            input.count *= std::size_t(n.as_int());
        }
    }
    if (!fits)
        fields.fail("shape", "must be a list of at most 4 sizes, [] for one number");
}

void read_null(const Json& null, const Fields& fields, SideInput& input)
{
    if (null.is_null())
        return;
    std::vector<float> values;
    if (null.is_number())
        values.assign(input.count, float(null.as_double()));
    for (std::size_t i = 0; null.is_array() && i < null.size(); i++) {
        if (!null.items()[i].is_number())
            fields.fail("null", "must be a number, or a list of numbers");
        values.push_back(float(null.items()[i].as_double()));
    }
    if (values.empty())
        fields.fail("null", "must be a number, or a list of numbers");
    try {
        input.check(values.data(), values.size());
        input.null = std::move(values);
    } catch (const Error& e) {
        fields.fail("null", std::string("does not fit: ") + e.what());
    }
}

} // namespace

void SideInput::check(const float* values, std::size_t given) const
{
    if (given != count)
        throw Error("the condition '" + name + "' takes " + std::to_string(count) + " value" +
                    (count == 1 ? "" : "s") + ", " + std::to_string(given) + " were given");
    for (std::size_t i = 0; i < given; i++) {
        const float v = values[i];
        if (!std::isfinite(v))
            throw Error("the condition '" + name + "' was given a value that is not finite");
        if (integer && (v != std::floor(v) || std::abs(v) > largest_integer))
            throw Error("the condition '" + name + "' takes whole numbers up to 2^24, " +
                        std::to_string(v) + " was given");
    }
    if (std::equal(null.begin(), null.end(), values, values + given))
        return; // not told
    for (std::size_t i = 0; i < given; i++)
        if (values[i] < least || values[i] > most)
            throw Error("the condition '" + name + "' takes " + range(*this) + ", " +
                        number(values[i]) + " was given");
}

std::vector<SideInput> read_side_inputs(const Json& declared, const std::string& where)
{
    std::vector<SideInput> inputs;
    if (declared.is_null())
        return inputs;
    if (!declared.is_array() || declared.size() > max_inputs)
        throw Error(
            where +
            " must be a list such as [{\"name\": \"class\", \"type\": \"int64\", \"shape\": [], "
            "\"null\": -1}]");
    for (std::size_t i = 0; i < declared.size(); i++) {
        const std::string here = where + "[" + std::to_string(i) + "]";
        const Json& one = declared.items()[i];
        if (!one.is_object())
            throw Error(here + " must be an object with \"name\" and \"type\"");
        const Fields fields(one, here, {"name", "type", "shape", "null", "least", "most", "from"});
        SideInput input;
        input.name = fields.text("name");
        if (!is_name(input.name))
            fields.fail("name", "must be letters, digits and _, not beginning with a digit");
        for (const SideInput& other : inputs)
            if (other.name == input.name)
                fields.fail("name", "stands twice");
        const std::string type = fields.text("type", "float32");
        if (type != "int64" && type != "float32")
            fields.fail("type", "must be int64 or float32");
        input.integer = type == "int64";
        read_shape(one["shape"], fields, input);
        read_null(one["null"], fields, input);
        read_range(fields, input);
        if (fields.has("from")) {
            if (fields.text("from") != "previous")
                fields.fail("from", "must be \"previous\", or be left out");
            if (input.integer)
                fields.fail("from", "is the previous answer, which is float32: correct the type");
            input.previous = true;
            if (one["null"].is_array())
                fields.fail("null", "of the previous answer must be one number");
        }
        inputs.push_back(std::move(input));
    }
    return inputs;
}

std::string no_side_input(const std::string& name, const std::vector<SideInput>& declared)
{
    std::vector<std::string> names;
    for (const SideInput& input : declared)
        names.push_back(input.name);
    return "there is no condition '" + name.substr(0, 64) + "'" +
           (names.empty() ? ": this scheme takes none" : suggestion(name, names));
}

} // namespace core
} // namespace diffsem
} // namespace gr
