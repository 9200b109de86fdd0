/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "scheme/package.h"

#include "scheme/paths.h"

#include <gnuradio/diffsem/core/base/entry.h>

#include <gnuradio/diffsem/core/base/sha256.h>
#include <gnuradio/diffsem/core/priors/prior.h>
#include <gnuradio/diffsem/core/scheme/load_scheme.h>

#include <algorithm>
#include <cstdlib>
#include <dlfcn.h>
#include <filesystem>
#include <vector>

namespace gr {
namespace diffsem {
namespace core {

namespace fs = std::filesystem;

namespace {

constexpr std::size_t max_manifest_bytes = std::size_t(1) << 20;
constexpr std::size_t max_files = 1000;

// Folder of the shared object (or program) that this code is in.
fs::path own_folder()
{
    Dl_info info;
    if (!dladdr(reinterpret_cast<const void*>(&own_folder), &info) || !info.dli_fname)
        return {};
    std::error_code error;
    const fs::path path = fs::canonical(info.dli_fname, error);
    return error ? fs::path() : path.parent_path();
}

bool is_sha256(const std::string& text)
{
    return text.size() == 64 && text.find_first_not_of("0123456789abcdef") == std::string::npos;
}

// Refuses what could leave the folder, by its name or through links.
fs::path inside(const std::string& folder, const std::string& file, const std::string& where)
{
    const fs::path relative(file);
    bool leaves = file.empty() || relative.is_absolute() || file.find('\0') != std::string::npos;
    for (const auto& part : relative)
        leaves = leaves || part == "..";
    std::error_code error;
    const fs::path root = fs::canonical(folder, error);
    const fs::path real = leaves ? fs::path() : fs::weakly_canonical(root / relative, error);
    const auto mismatch = std::mismatch(root.begin(), root.end(), real.begin(), real.end());
    if (leaves || error || mismatch.first != root.end())
        throw Error(where + " names the file '" + file +
                    "': files must lie in the package folder, refused");
    if (!is_file(real))
        throw Error(where + " names the file '" + file + "', which is missing in " + folder +
                    ": copy or export the package again");
    return real;
}

void read_folder(Package& package)
{
    const std::string path = package.folder + "/manifest.json";
    package.text = read_file(path, max_manifest_bytes);
    package.manifest = Json::parse(package.text, path);
    const Json& m = package.manifest;
    if (!m.is_object())
        throw Error(path + ": a manifest is an object {...}, see docs/model_contract.md");
    if (!m["diffsem.contract"].is_number() || m["diffsem.contract"].as_double() != 1)
        throw Error(path + ": diffsem.contract is " + m["diffsem.contract"].dump() +
                    ", this version reads 1: export the package again, or update gr-diffsem");
    for (const char* key : {"signal", "members"})
        if (!m[key].is_object() || !m[key].size())
            throw Error(path + ": '" + key + "' must be an object with at least one key, found " +
                        m[key].dump().substr(0, 60));

    std::vector<std::pair<std::string, std::string>> lines = {
        {"manifest.json", sha256_hex(package.text)}};
    const Json files = m["files"].is_null() ? Json::object() : m["files"];
    if (!files.is_object() || files.size() > max_files)
        throw Error(path + ": 'files' must be an object of file names and SHA-256 sums");
    for (const auto& file : files.members()) {
        const std::string where = path + ": files";
        if (!file.second.is_string() || !is_sha256(file.second.as_string()))
            throw Error(where + "." + file.first +
                        " must be a SHA-256 of 64 lower-case hex digits");
        const std::string sum = sha256_file(inside(package.folder, file.first, where).string());
        if (sum != file.second.as_string())
            throw Error(where + ": '" + file.first + "' has the SHA-256 " + sum +
                        ", the manifest says " + file.second.as_string() +
                        ": copy or export the package again");
        lines.emplace_back(file.first, sum);
    }
    std::sort(lines.begin(), lines.end());
    std::string all;
    for (const auto& line : lines)
        all += line.second + "  " + line.first + "\n";
    package.content_hash = sha256_hex(all);
}

// A single file says in its metadata what a manifest would: one member, called by the file's name.
void read_onnx(Package& package, const LoadOptions& options)
{
    const Json meta = read_onnx_metadata(package.onnx, options);
    package.text = meta.dump();
    package.content_hash = sha256_file(package.onnx);
    if (!meta["diffsem.role"].is_string() || meta["diffsem.role"].as_string() != "denoiser")
        throw Error(package.onnx + ": diffsem.role is " + meta["diffsem.role"].dump() +
                    ", an estimator needs \"denoiser\"; use the block onnx_inference for any other "
                    "model, or say what it is in " +
                    package.onnx + ".json");
    const auto copy = [&](Json& to, const char* key) {
        const Json& value = meta[std::string("diffsem.") + key];
        if (!value.is_null())
            to.set(key, value);
    };
    Json signal = Json::object(), member = Json::object(), members = Json::object();
    copy(signal, "domain");
    copy(signal, "shape");
    copy(signal, "gain");
    Json prior = Json::object();
    prior.set("type", "onnx");
    prior.set("file", fs::path(package.onnx).filename().string());
    copy(prior, "vjp");
    member.set("prior", prior);
    for (const char* key : {"operator", "start", "guidance", "sampler", "plan", "title"})
        copy(member, key);
    members.set(package.name, member);
    package.manifest.set("signal", signal);
    package.manifest.set("default", package.name);
    package.manifest.set("members", members);
    if (!meta["diffsem.title"].is_null())
        package.manifest.set("title", meta["diffsem.title"]);
}

bool take_path(const fs::path& path, Package& package)
{
    if (is_package(path)) {
        package.folder = path.string();
        package.name = fs::absolute(path).lexically_normal().filename().string();
        if (package.name.empty()) // "folder/"
            package.name = fs::absolute(path).lexically_normal().parent_path().filename().string();
        return true;
    }
    if (is_file(path)) {
        package.onnx = path.string();
        package.name = path.stem().string();
        return true;
    }
    return false;
}

} // namespace

std::vector<std::string> search_paths(const LoadOptions& options)
{
    std::vector<std::string> paths;
    const auto add = [&](const std::string& path) {
        if (!path.empty() && std::find(paths.begin(), paths.end(), path) == paths.end())
            paths.push_back(path);
    };
    const char* environment = std::getenv("DIFFSEM_MODELS");
    for (const auto& path : split(environment ? environment : "", ':'))
        add(expand_home(path));
    for (const auto& path : split(options.models_path, ':'))
        add(expand_home(path));
#ifdef DIFFSEM_MODELS_DIR
    add(DIFFSEM_MODELS_DIR);
#endif
    const fs::path own = own_folder();
    if (!own.empty()) {
        // <prefix>/lib[/<triplet>]/libgnuradio-diffsem.so, or a wheel with its data beside it
        for (const char* up : {"..", "../.."})
            add((own / up / "share/gr-diffsem/models").lexically_normal().string());
        add((own / "models").string());
    }
#ifdef DIFFSEM_SOURCE_MODELS_DIR
    add(DIFFSEM_SOURCE_MODELS_DIR);
#endif
    return paths;
}

std::vector<std::pair<std::string, std::string>> find_packages(const LoadOptions& options)
{
    std::vector<std::pair<std::string, std::string>> found;
    for (const auto& path : search_paths(options)) {
        std::vector<std::pair<std::string, std::string>> here;
        std::error_code error;
        for (const auto& entry : fs::directory_iterator(path, error)) {
            const fs::path p = entry.path();
            if (is_package(p))
                here.emplace_back(p.filename().string(), p.string());
            else if (p.extension() == ".onnx" && is_file(p))
                here.emplace_back(p.stem().string(), p.string());
        }
        std::sort(here.begin(), here.end());
        for (auto& package : here)
            if (std::none_of(found.begin(), found.end(), [&](const auto& f) {
                    return f.first == package.first;
                }))
                found.push_back(std::move(package));
    }
    return found;
}

Package open_package(Spec& spec, const LoadOptions& options)
{
    Package package;
    package.options = options;
    const fs::path path(expand_home(spec.name));
    bool found = take_path(path, package);
    if (!found && path.has_parent_path() && is_package(path.parent_path())) {
        spec.member = path.filename().string();
        found = take_path(path.parent_path(), package);
    }
    if (!found && (looks_like_path(spec.name) || path.extension() == ".onnx"))
        throw Error("scheme '" + spec.name +
                    "': there is no such .onnx file or package folder (a folder "
                    "with a manifest.json)");
    if (!found) {
        const auto packages = find_packages(options);
        std::vector<std::string> names = {"ls", "linear"};
        for (const auto& p : packages) {
            names.push_back(p.first);
            if (p.first == spec.name)
                found = take_path(p.second, package);
        }
        if (!found) {
            std::string where;
            for (const auto& p : search_paths(options))
                where += (where.empty() ? "" : ", ") + p;
            throw Error("scheme '" + spec.name + "' is unknown" + suggestion(spec.name, names) +
                        ". Searched: " + where + ". Set DIFFSEM_MODELS to add folders");
        }
        package.name = spec.name;
    }
    if (package.folder.empty())
        read_onnx(package, options);
    else
        read_folder(package);
    return package;
}

std::string Package::path(const std::string& file, const std::string& where) const
{
    if (!onnx.empty()) {
        const fs::path own(onnx);
        if (file == own.filename().string())
            return onnx;
        return inside(own.has_parent_path() ? own.parent_path().string() : ".", file, where)
            .string();
    }
    if (!manifest["files"].has(file))
        throw Error(where + " names the file '" + file +
                    "', which 'files' does not list: add it there with its SHA-256");
    return inside(folder, file, where).string();
}

} // namespace core
} // namespace diffsem
} // namespace gr
