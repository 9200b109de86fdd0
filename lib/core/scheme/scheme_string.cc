/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "scheme/scheme_string.h"

#include "scheme/paths.h"

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
    std::vector<std::string> keys = {
        "sampler", "plan", "start", "seed", "gain", "guard", "guidance", "guidance_scale"};
    const auto add = [&](const auto& table) {
        for (const auto* entry : table)
            for (const Key& key : entry->keys)
                if (std::find(keys.begin(), keys.end(), key.name) == keys.end())
                    keys.push_back(key.name);
    };
    add(plans());
    add(samplers());
    add(starts());
    return keys;
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
    // A colon begins the options only if a '=' follows: a path may contain one too.
    const auto colon = text.rfind(':');
    if (colon != std::string::npos &&
        (text.find('=', colon) != std::string::npos || !looks_like_path(text))) {
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
        if (std::find(known.begin(), known.end(), key) == known.end())
            throw Error("scheme '" + text + "': the key '" + key + "' is unknown" +
                        suggestion(key, known));
}

} // namespace core
} // namespace diffsem
} // namespace gr
