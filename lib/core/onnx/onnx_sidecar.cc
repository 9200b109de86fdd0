/*
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#include "onnx/onnx_sidecar.h"

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <vector>

namespace gr {
namespace diffsem {
namespace core {
namespace {

constexpr std::uintmax_t max_sidecar_bytes = 1 << 20;

// What a sidecar may say. A file's own metadata may say more; a typing mistake in a hand-written
// sidecar must not pass in silence.
const char* const known_keys[] = {
    "contract",   "role",       "prediction", "input_scaling", "time_embedding",   "schedule",
    "layout",     "shape",      "domain",     "normalisation", "learned_variance", "sigma_range",
    "gain",       "condition",  "operator",   "start",         "sampler",          "plan",
    "title",      "trained_on", "licence",    "claims",        "reference",        "macs",
    "batch_axis", "input",      "output",     "inputs",        "outputs",          "constants",
    "state",      "name",       "version",    "vjp",           "flow_time",        "clip"};

std::size_t edit_distance(const std::string& a, const std::string& b)
{
    std::vector<std::size_t> row(b.size() + 1);
    for (std::size_t j = 0; j <= b.size(); ++j)
        row[j] = j;
    for (std::size_t i = 1; i <= a.size(); ++i) {
        std::size_t diagonal = row[0];
        row[0] = i;
        for (std::size_t j = 1; j <= b.size(); ++j) {
            const std::size_t above = row[j];
            row[j] = std::min({above + 1, row[j - 1] + 1, diagonal + (a[i - 1] != b[j - 1])});
            diagonal = above;
        }
    }
    return row[b.size()];
}

void check_key(const std::string& path, const std::string& key)
{
    const std::string prefix = "diffsem.";
    const bool prefixed = key.compare(0, prefix.size(), prefix) == 0;
    const std::string bare = prefixed ? key.substr(prefix.size()) : key;
    std::string nearest;
    std::size_t best = ~std::size_t(0);
    for (const char* known : known_keys) {
        const std::size_t distance = edit_distance(bare.substr(0, 64), known);
        if (distance < best) {
            best = distance;
            nearest = prefix + known;
        }
    }
    if (!prefixed || best > 0)
        throw Error(path + ": unknown key '" + key + "'. Did you mean '" + nearest +
                    "'? The keys are listed in docs/model_contract.md");
}

//! The same value, written as text or as JSON.
bool same_value(const std::string& a, const std::string& b)
{
    if (a == b)
        return true;
    try {
        return Json::parse(a).dump() == Json::parse(b).dump();
    } catch (const Error&) {
        return false;
    }
}

} // namespace

void read_sidecar(OnnxFile& file)
{
    const std::string path = file.path + ".json";
    std::error_code ec;
    if (!std::filesystem::exists(path, ec))
        return;
    if (!std::filesystem::is_regular_file(path, ec) ||
        std::filesystem::file_size(path, ec) > max_sidecar_bytes || ec)
        throw Error(path +
                    ": is not a sidecar (a JSON file of at most 1 MB). Remove or replace it");
    std::ifstream in(path, std::ios::binary);
    std::ostringstream text;
    text << in.rdbuf();
    const Json sidecar = Json::parse(text.str(), path);
    if (!sidecar.is_object())
        throw Error(path + ": must hold one JSON object, {\"diffsem.role\": ...}");
    file.sidecar = path;
    for (const auto& [key, json] : sidecar.members()) {
        check_key(path, key);
        const std::string value = json.is_string() ? json.as_string() : json.dump();
        const auto known = file.metadata.emplace(key, value);
        if (!known.second && !same_value(known.first->second, value))
            throw Error(path + ": " + key + " is '" + value + "', but the .onnx itself says '" +
                        known.first->second + "'. Remove the key from the sidecar");
    }
}

void check_contract(const OnnxFile& file, bool required)
{
    const std::string version = file.meta("diffsem.contract");
    if (version == "1" || (version.empty() && !required))
        return;
    if (version.empty())
        throw Error(file.path +
                    ": has no diffsem.contract, so what it computes is not known. Export it "
                    "with gr-diffsem, or describe it in " +
                    file.path + ".json (docs/model_contract.md)");
    throw Error(
        file.path + ": diffsem.contract is '" + version +
        "'; this gr-diffsem knows version 1. Use a newer gr-diffsem, or export for version 1");
}

Json meta_json(const OnnxFile& file, const std::string& key)
{
    const auto it = file.metadata.find(key);
    if (it == file.metadata.end())
        return Json();
    return Json::parse(it->second, file.path + ": " + key);
}

std::vector<std::int64_t> json_shape(const Json& json, const std::string& what)
{
    const auto wrong = [&]() {
        return Error(what + " is '" + json.dump() +
                     "'. Give a list of 1 to 4 positive integers, such as [2, 64]");
    };
    if (!json.is_array() || json.size() < 1 || json.size() > 4)
        throw wrong();
    std::vector<std::int64_t> shape;
    std::int64_t elements = 1;
    for (const auto& item : json.items()) {
        const double value = item.is_number() ? item.as_double() : 0;
        if (!(value >= 1 && value <= (1 << 28)) || value != static_cast<std::int64_t>(value) ||
            elements > (std::int64_t(1) << 28) / static_cast<std::int64_t>(value))
            throw wrong();
        shape.push_back(static_cast<std::int64_t>(value));
        elements *= shape.back();
    }
    return shape;
}

std::vector<std::int64_t> meta_shape(const OnnxFile& file, const std::string& key)
{
    const Json json = meta_json(file, key);
    return json.is_null() ? std::vector<std::int64_t>() : json_shape(json, file.path + ": " + key);
}

std::string meta_choice(const OnnxFile& file,
                        const std::string& key,
                        const std::vector<std::string>& allowed,
                        const std::string& fallback)
{
    const std::string value = file.meta(key, fallback);
    std::string list;
    for (const auto& choice : allowed) {
        if (choice == value)
            return value;
        list += (list.empty() ? "" : ", ") + choice;
    }
    throw Error(file.path + ": " + key + (value.empty() ? " is missing" : " is '" + value + "'") +
                ". Give one of: " + list);
}

} // namespace core
} // namespace diffsem
} // namespace gr
