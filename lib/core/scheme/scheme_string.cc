/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "scheme/scheme_string.h"

#include "scheme/paths.h"
#include "scheme/string_keys.h"

#include <gnuradio/diffsem/core/infer/scheme.h>

#include <algorithm>
#include <filesystem>
#include <string>
#include <vector>

namespace gr {
namespace diffsem {
namespace core {

namespace fs = std::filesystem;

namespace {

// What may stand behind the colon: the choices, and all that plans, samplers and starts read.
std::vector<std::string> override_keys()
{
    std::vector<std::string> keys = {"sampler",
                                     "plan",
                                     "start",
                                     "operator",
                                     "seed",
                                     "gain",
                                     "guard",
                                     "fewest_observed",
                                     "guidance",
                                     "guidance_scale",
                                     "device",
                                     "max_model_mb"};
    for (const auto& table : string_tables())
        for (const Entry* entry : table.entries)
            for (const Key& key : entry->keys)
                if (std::find(keys.begin(), keys.end(), key.name) == keys.end())
                    keys.push_back(key.name);
    return keys;
}

// NOUN.key: the key of that noun, whatever other nouns have one of this name.
bool is_qualified(const std::string& key)
{
    const auto dot = key.find('.');
    for (const auto& table : string_tables())
        if (dot != std::string::npos && key.compare(0, dot, table.noun) == 0)
            for (const Entry* entry : table.entries)
                for (const Key& k : entry->keys)
                    if (key.compare(dot + 1, std::string::npos, k.name) == 0)
                        return true;
    return false;
}

// Where the options begin: at the last colon that a key and '=' follow. A path may contain a colon, and so may a value.
std::size_t options_at(const std::string& text)
{
    for (auto colon = text.rfind(':'); colon != std::string::npos;
         colon = colon ? text.rfind(':', colon - 1) : std::string::npos) {
        const auto end = text.find_first_not_of(
            "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz_.0123456789", colon + 1);
        if (end != std::string::npos && text[end] == '=' && end > colon + 1)
            return colon;
    }
    const auto colon = text.rfind(':');
    const bool options = colon != std::string::npos &&
                         (text.find('=', colon) != std::string::npos || !looks_like_path(text));
    return options ? colon : std::string::npos;
}

} // namespace

const std::string* Spec::find(const std::string& key) const
{
    for (const auto& o : overrides)
        if (o.first == key)
            return &o.second;
    return nullptr;
}

Spec parse_spec(const std::string& text)
{
    Spec spec;
    spec.name = text;
    const auto colon = options_at(text);
    if (colon != std::string::npos) {
        spec.name = text.substr(0, colon);
        for (const auto& part : split(text.substr(colon + 1), ',')) {
            const auto equals = part.find('=');
            const std::string key = part.substr(0, equals);
            if (equals == std::string::npos || equals + 1 == part.size())
                throw Error("scheme '" + text + "': '" + part + "' is not of the form key=value");
            if (spec.find(key))
                throw Error("scheme '" + text + "': the key '" + key + "' stands twice");
            spec.overrides.emplace_back(key, part.substr(equals + 1));
        }
    }
    if (spec.name.empty())
        throw Error("scheme '" + text +
                    "' has no name: give for example 'ls', the name of a package, "
                    "or the path of an .onnx file");
    if (!looks_like_path(spec.name) && !is_file(spec.name) && !is_package(spec.name)) {
        const auto slash = spec.name.find('/');
        if (slash != std::string::npos && !is_package(fs::path(spec.name).parent_path())) {
            spec.member = spec.name.substr(slash + 1);
            spec.name = spec.name.substr(0, slash);
        }
    }
    return spec;
}

bool is_key(const std::string& name)
{
    const auto known = override_keys();
    return std::find(known.begin(), known.end(), name) != known.end();
}

void check_keys(const Spec& spec,
                const std::string& text,
                const std::vector<std::string>& conditions)
{
    auto known = override_keys();
    known.insert(known.end(), conditions.begin(), conditions.end());
    for (const auto& [key, value] : spec.overrides)
        if (std::find(known.begin(), known.end(), key) == known.end() && !is_qualified(key))
            throw Error("scheme '" + text + "': the key '" + key + "' is unknown" +
                        suggestion(key, known));
}

} // namespace core
} // namespace diffsem
} // namespace gr
