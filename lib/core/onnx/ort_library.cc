/*
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#include "onnx/ort_library.h"

#include <cstdlib>
#include <dlfcn.h>
#include <glob.h>
#include <map>
#include <mutex>
#include <sys/stat.h>
#include <unistd.h>
#include <vector>

namespace gr {
namespace diffsem {
namespace core {
namespace {

struct Candidate {
    std::string path, origin;
};

std::vector<std::string> expand(const std::string& pattern)
{
    std::vector<std::string> found;
    glob_t result;
    if (glob(pattern.c_str(), 0, nullptr, &result) == 0)
        for (std::size_t i = result.gl_pathc; i-- > 0;) // newest name first
            found.push_back(result.gl_pathv[i]);
    globfree(&result);
    return found;
}

std::string own_folder()
{
    Dl_info info;
    if (!dladdr(reinterpret_cast<void*>(&own_folder), &info) || !info.dli_fname)
        return "";
    const std::string file = info.dli_fname;
    const auto slash = file.rfind('/');
    return slash == std::string::npos ? "." : file.substr(0, slash);
}

const char* environment(const char* name)
{
    const char* value = std::getenv(name);
    return value && *value ? value : nullptr;
}

//! The places that are tried when nobody names a library.
class Search
{
public:
    Search()
    {
#ifdef DIFFSEM_ORT_DEFAULT_LIB
        if (*DIFFSEM_ORT_DEFAULT_LIB)
            add(DIFFSEM_ORT_DEFAULT_LIB, "configured at build");
#endif
        const std::string wheel = "python3*/site-packages/onnxruntime/capi/libonnxruntime.so*";
        if (const char* venv = environment("VIRTUAL_ENV"))
            pattern(std::string(venv) + "/lib/" + wheel, "wheel of $VIRTUAL_ENV");
        const std::string own = own_folder();
        if (!own.empty()) {
            pattern(own + "/libonnxruntime.so*", "beside gr-diffsem");
            // From <prefix>/lib, <prefix>/lib/<triplet> and <site-packages>/gnuradio/diffsem.
            pattern(own + "/" + wheel, "wheel beside gr-diffsem");
            pattern(own + "/../" + wheel, "wheel beside gr-diffsem");
            pattern(own + "/../../onnxruntime/capi/libonnxruntime.so*", "wheel beside gr-diffsem");
        }
        add("libonnxruntime.so", "system");
        add("libonnxruntime.so.1", "system");
        for (int minor = 40; minor >= 21; --minor)
            add("libonnxruntime.so.1." + std::to_string(minor), "system");
    }

    const std::vector<Candidate>& candidates() const { return d_candidates; }
    const std::string& places() const { return d_places; }

private:
    void add(const std::string& path, const std::string& origin)
    {
        d_candidates.push_back({path, origin});
        // The twenty sonames would bury what matters.
        if (path.find("libonnxruntime.so.1.") != 0)
            d_places += "\n  " + path + " (" + origin + ")";
    }

    void pattern(const std::string& text, const std::string& origin)
    {
        d_places += "\n  " + text + " (" + origin + ")";
        for (const auto& path : expand(text))
            d_candidates.push_back({path, origin});
    }

    std::vector<Candidate> d_candidates;
    std::string d_places;
};

const char* const how_to_install =
    "Install it with `pip install onnxruntime` (1.21 or later) in the active environment or "
    "`apt install libonnxruntime1.21`, or set DIFFSEM_ONNXRUNTIME to the path of libonnxruntime.so";

/*
 * What all models of the process may take together. A few bytes of a file can ask for any amount of memory
 * (Expand, Tile, ConstantOfShape of what was computed), and only whoever allocates it can say no.
 */
std::size_t memory_limit()
{
    if (const char* said = environment("DIFFSEM_ONNXRUNTIME_MB")) {
        char* end = nullptr;
        const unsigned long long mb = std::strtoull(said, &end, 10);
        if (*end || mb < 1 || mb > (1u << 24))
            throw Error("DIFFSEM_ONNXRUNTIME_MB is '" + std::string(said) +
                        "': give the memory that all models may take together, in MB");
        return std::size_t(mb) << 20;
    }
    const long pages = sysconf(_SC_PHYS_PAGES), size = sysconf(_SC_PAGESIZE);
    return pages > 0 && size > 0 ? std::size_t(pages) / 2 * std::size_t(size)
                                 : std::size_t(4) << 30;
}

OrtStatus* limit_memory(const OrtApi* api, OrtEnv* env)
{
    OrtMemoryInfo* info = nullptr;
    OrtArenaCfg* limits = nullptr;
    OrtStatus* status = api->CreateCpuMemoryInfo(OrtArenaAllocator, OrtMemTypeDefault, &info);
    if (!status)
        status = api->CreateArenaCfg(memory_limit(), -1, -1, -1, &limits);
    if (!status)
        status = api->CreateAndRegisterAllocator(env, info, limits);
    if (limits)
        api->ReleaseArenaCfg(limits);
    if (info)
        api->ReleaseMemoryInfo(info);
    return status;
}

//! Opens one library; on failure returns false and says why.
bool open_library(const std::string& path, LoadedOrt& out, std::string& why)
{
    void* handle = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
    if (!handle) {
        const char* error = dlerror();
        why = error ? error : "cannot be opened";
        return false;
    }
    using GetBase = const OrtApiBase* (*)();
    const auto get_base = reinterpret_cast<GetBase>(dlsym(handle, "OrtGetApiBase"));
    if (!get_base) {
        dlclose(handle);
        why = path + " is not ONNX Runtime (no OrtGetApiBase in it)";
        return false;
    }
    const OrtApiBase* base = get_base();
    out.library.version = base->GetVersionString();
    out.library.path = path;
    out.api = base->GetApi(ort_api_version);
    if (!out.api) {
        why = path + " is version " + out.library.version + ", older than 1.21";
        return false;
    }
    Dl_info info;
    if (dladdr(reinterpret_cast<const void*>(get_base), &info) && info.dli_fname)
        out.library.path = info.dli_fname;
    const auto failed = [&](OrtStatus* status) {
        if (!status)
            return false;
        why = out.api->GetErrorMessage(status);
        out.api->ReleaseStatus(status);
        return true;
    };
    if (failed(out.api->CreateEnv(ORT_LOGGING_LEVEL_ERROR, "gr-diffsem", &out.env)) ||
        failed(out.api->DisableTelemetryEvents(out.env)) || failed(limit_memory(out.api, out.env)))
        return false;
    return true;
}

LoadedOrt open_named(const std::string& path, const std::string& named_by)
{
    LoadedOrt ort;
    std::string why;
    if (!open_library(path, ort, why))
        throw Error("ONNX Runtime cannot be used: " + named_by + " is '" + path + "': " + why +
                    ". Correct it, or leave it empty to have the usual places searched. " +
                    how_to_install);
    return ort;
}

LoadedOrt open_any()
{
    const Search search;
    std::string failures;
    for (const auto& candidate : search.candidates()) {
        LoadedOrt ort;
        std::string why;
        if (open_library(candidate.path, ort, why))
            return ort;
        struct stat unused;
        if (stat(candidate.path.c_str(), &unused) == 0 || why.find("older") != std::string::npos)
            failures += "\n  " + why;
    }
    throw Error("ONNX Runtime was not found. Searched:" + search.places() +
                (failures.empty() ? "" : "\nFound but not usable:" + failures) + "\n" +
                how_to_install);
}

} // namespace

const LoadedOrt& load_onnxruntime(const std::string& library)
{
    static std::mutex mutex;
    // Leaked on purpose: sessions in other statics may still be closing when ours would be destroyed.
    static auto& loaded = *new std::map<std::string, LoadedOrt>();
    const std::lock_guard<std::mutex> lock(mutex);

    const char* env = environment("DIFFSEM_ONNXRUNTIME");
    const std::string key = !library.empty() ? library : env ? env : "";
    const auto it = loaded.find(key);
    if (it != loaded.end())
        return it->second;

    // The 1.31 wheels report home unless told not to before they are loaded.
    setenv("ORT_DISABLE_TELEMETRY", "1", 1);
    LoadedOrt ort = key.empty() ? open_any()
                                : open_named(key,
                                             library.empty() ? "DIFFSEM_ONNXRUNTIME"
                                                             : "the given library (onnxruntime)");
    return loaded.emplace(key, std::move(ort)).first->second;
}

OrtLibrary find_onnxruntime(const std::string& library)
{
    return load_onnxruntime(library).library;
}

} // namespace core
} // namespace diffsem
} // namespace gr
