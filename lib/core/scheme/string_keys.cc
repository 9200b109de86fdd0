/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "scheme/string_keys.h"

#include "scheme/paths.h"

#include <gnuradio/diffsem/core/infer/driver.h>
#include <gnuradio/diffsem/core/infer/scheme.h>

#include <algorithm>
#include <cmath>
#include <vector>

namespace gr {
namespace diffsem {
namespace core {

namespace {

// A number as JSON has it, whatever the locale says of decimal points; null: none.
Json real_of(const std::string& text)
{
    try {
        const Json value = Json::parse(text);
        return value.is_number() && std::isfinite(value.as_double()) ? value : Json();
    } catch (const Error&) { // as what is no number
        return Json();
    }
}

// "2", "0.5-0.3j" or "1j" as a number, or a pair [real, imaginary]; null: neither.
Json number_of(const std::string& text)
{
    if (text.empty() || text.back() != 'j')
        return real_of(text);
    const std::string both = text.substr(0, text.size() - 1);
    auto sign = both.find_last_of("+-");
    while (sign != std::string::npos && sign > 0 &&
           (both[sign - 1] == 'e' || both[sign - 1] == 'E'))
        sign = both.find_last_of("+-", sign - 1); // of an exponent
    const bool alone = sign == std::string::npos || sign == 0;
    const Json real = alone ? Json(0.0) : real_of(both.substr(0, sign));
    const Json imaginary = real_of(alone ? both : both.substr(both[sign] == '+' ? sign + 1 : sign));
    return real.is_null() || imaginary.is_null() ? Json() : Json::array({real, imaginary});
}

Json list_of(const std::string& text)
{
    std::vector<Json> items;
    for (const auto& part : split(text, ';')) {
        items.push_back(number_of(part));
        if (items.back().is_null())
            return Json();
    }
    return Json::array(std::move(items));
}

// The entries that read a key, for a sentence about one that the chosen entry does not.
std::string readers(const std::vector<const Entry*>& table, const std::string& name)
{
    std::string text;
    for (const Entry* entry : table)
        for (const Key& key : entry->keys)
            if (name == key.name)
                text += (text.empty() ? "'" : ", '") + std::string(entry->name) + "'";
    return text;
}

// A key of an operator that the chosen one does not read may be a typing mistake for another noun's.
void check_reader(const Spec& spec,
                  const StringTable& table,
                  const Json& object,
                  const std::string& key)
{
    if (std::string(table.noun) != "operator" || !object["type"].is_string())
        return;
    for (const Entry* entry : table.entries)
        if (object["type"].as_string() == entry->name && find_key({entry}, key))
            return;
    std::vector<std::string> others;
    for (const auto& other : string_tables())
        for (const Entry* entry : other.entries)
            for (const Key& k : entry->keys)
                if (key != k.name && std::string(other.noun) != "operator")
                    others.push_back(k.name);
    const std::string near = suggestion(key, others);
    throw Error(
        "scheme '" + spec.name + "': the key '" + key + "' is of the operator " +
        readers(table.entries, key) + ", and the operator here is '" + object["type"].as_string() +
        "': add operator=..., or leave it out" +
        (near.find("did you mean") != std::string::npos ? near.substr(0, near.find('?') + 1) : ""));
}

} // namespace

const Key* find_key(const std::vector<const Entry*>& table, const std::string& name)
{
    for (const Entry* entry : table)
        for (const Key& key : entry->keys)
            if (name == key.name)
                return &key;
    return nullptr;
}

std::vector<StringTable> string_tables()
{
    return {{"plan", entries(plans())},
            {"sampler", entries(samplers())},
            {"start", entries(starts())},
            {"operator", entries(operators())},
            {"guidance", entries(guidances())},
            {"driver", entries(drivers())}};
}

Json value_of(const Spec& spec, const Key& key, const std::string& text)
{
    const std::string where = "scheme '" + spec.name + "': " + key.name + " = '" + text + "'";
    if (key.file)
        throw Error(where +
                    ": a string names no file: give it in the package's manifest, or by the "
                    "block's parameter");
    if (key.text)
        return Json(text);
    if (key.list) {
        const Json list = list_of(text);
        if (list.is_null())
            throw Error(where + " is not a list of numbers: write them as 10;5;1;0.1");
        return list;
    }
    try {
        const Json value = Json::parse(text);
        if (key.flag ? value.is_bool() : value.is_number() && std::isfinite(value.as_double()))
            return value;
    } catch (const Error&) { // as what is no value
    }
    throw Error(where + (key.flag ? " is neither true nor false" : " is not a number"));
}

void place_keys(const Spec& spec, const std::vector<std::pair<std::string, Json*>>& nouns)
{
    const auto tables = string_tables();
    for (const auto& [name, text] : spec.overrides) {
        const auto dot = name.find('.');
        const std::string noun = dot == std::string::npos ? "" : name.substr(0, dot);
        const std::string key = dot == std::string::npos ? name : name.substr(dot + 1);
        for (const auto& table : tables) {
            const Key* found = find_key(table.entries, key);
            if (!found || (!noun.empty() && noun != table.noun))
                continue;
            for (const auto& [its, object] : nouns)
                if (its == table.noun) {
                    check_reader(spec, table, *object, key);
                    object->set(key, value_of(spec, *found, text));
                }
            break;
        }
    }
}

Json chosen(const Spec& spec, const char* noun, const Json& object)
{
    const std::string* type = spec.find(noun);
    if (!type || (object["type"].is_string() && object["type"].as_string() == *type))
        return object;
    Json fresh = Json::object();
    fresh.set("type", *type);
    return fresh;
}

LoadOptions load_options(const Spec& spec, LoadOptions options)
{
    const std::string where = "scheme '" + spec.name + "': ";
    if (const std::string* device = spec.find("device")) {
        const bool numbered = device->compare(0, 5, "cuda:") == 0 && device->size() > 5 &&
                              device->size() < 9 &&
                              device->find_first_not_of("0123456789", 5) == std::string::npos;
        if (*device != "cpu" && *device != "cuda" && !numbered)
            throw Error(where + "device = '" + *device + "' is unknown: give cpu, cuda or cuda:N");
        options.device = *device;
    }
    if (const std::string* most = spec.find("max_model_mb")) {
        const Json mb = real_of(*most);
        if (!mb.is_number() || !(mb.as_double() > 0 && mb.as_double() <= 1048576))
            throw Error(where + "max_model_mb = '" + *most +
                        "' is not a size in megabytes, above 0 and at most 1048576");
        options.max_model_bytes = std::size_t(mb.as_double() * double(1 << 20));
    }
    return options;
}

} // namespace core
} // namespace diffsem
} // namespace gr
