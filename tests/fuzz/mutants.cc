/*
 * SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Mutated models through our pre-validator, and what passes it through ONNX Runtime: a session and one run on
 * zeros, in a child process. Each must end in an error or in a working session, within a second of processor time and
 * 256 MB of growth. What does not is left as mutant-NUMBER.onnx, and the program ends with an error.
 *
 *     mutants [-runs=N] [-seed=S] FOLDER|FILE...
 */
#include "onnx/onnx_plan.h"

#include <gnuradio/diffsem/core/onnx/ort.h>

#include "mutate_message.h"

#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <exception>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <memory>
#include <vector>

using namespace gr::diffsem::core;
namespace fs = std::filesystem;

namespace {

constexpr double max_seconds = 1.0;
constexpr long max_growth_kb = 256 * 1024;
constexpr unsigned hang_seconds = 60;
constexpr long per_child = 500;      // mutants; what ONNX Runtime keeps ends with the process
const char* const memory_mb = "128"; // that ONNX Runtime may take

enum Outcome { refused, ort_refused, works, outcomes };
const char* const said[] = {"refused by us", "refused by ONNX Runtime", "work"};

struct Result {
    int outcome;
    double seconds;
    long growth_kb, resident_kb;
};

Outcome try_one(std::string bytes)
{
    OnnxFile file;
    try {
        file = parse_onnx(std::move(bytes), "mutant.onnx", std::size_t(64) << 20);
    } catch (const Error&) {
        return refused;
    }
    OnnxRunnerOptions options;
    options.ort.run_limit = max_seconds / 2;
    std::shared_ptr<const OrtSession> session;
    try {
        session = OrtSession::create(file, options.ort);
    } catch (const Error&) {
        return ort_refused;
    }
    try { // as the block onnx_inference would run it
        auto plan = plan_graph(file, options);
        learn_outputs(file, *session, options, plan);
        std::vector<OrtTensor> outputs;
        for (const auto& end : plan.outputs)
            outputs.push_back(end.tensor);
        OrtRun run(session, plan.input_tensors(), outputs, plan.max_batch);
        run.run(plan.max_batch);
        return works;
    } catch (const Error&) {
    }
    try { // or all of its outputs, with what is open at 1
        std::vector<OrtTensor> inputs;
        std::vector<std::string> outputs;
        for (const auto& t : file.inputs)
            inputs.push_back({t.name, t.type, t.shape});
        for (const auto& t : file.outputs)
            outputs.push_back(t.name);
        session->probe(inputs, outputs, 1);
        return works;
    } catch (const Error&) {
        return ort_refused;
    }
}

long status_kb(const char* key)
{
    std::ifstream in("/proc/self/status");
    for (std::string word; in >> word;)
        if (word == key) {
            long kb = 0;
            in >> kb;
            return kb;
        }
    return 0;
}

double processor_seconds()
{
    timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return double(t.tv_sec) + 1e-9 * double(t.tv_nsec);
}

struct Corpus {
    std::vector<std::string> files, small, words;
};

//! The n-th mutant: of the structure, three times in four, else of the bytes; the corpus itself comes first.
std::string mutant(const Corpus& corpus, std::uint64_t seed, std::uint64_t n)
{
    if (n < corpus.files.size())
        return corpus.files[n];
    std::mt19937_64 random(seed * 1000003 + n);
    if (random() % 4 == 0)
        return mutate(corpus.small, random);
    const auto& from = random() % 8 ? corpus.small : corpus.files;
    std::string text = from[random() % from.size()];
    for (std::uint64_t left = 1 + random() % 3; left > 0; left--)
        text = mutate_message(text, corpus.words, random);
    return text;
}

[[noreturn]] void
child(const Corpus& corpus, std::uint64_t seed, std::uint64_t from, std::uint64_t to, int out)
{
    const rlimit none{0, 0};
    setrlimit(RLIMIT_CORE, &none);
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__) && !defined(__clang__)
    const rlimit memory{rlim_t(4) << 30,
                        rlim_t(4) << 30}; // what goes wrong must not take the machine
    setrlimit(RLIMIT_AS, &memory);
#endif
    setenv("DIFFSEM_ONNXRUNTIME_MB", memory_mb, 1);
    if (!std::freopen("/dev/null", "w", stderr))
        std::_Exit(2);
    try_one(corpus.files[0]); // the library itself is not a mutant's growth
    for (std::uint64_t n = from; n < to; n++) {
        const std::string text = mutant(corpus, seed, n);
        std::ofstream("/proc/self/clear_refs") << 5; // the peak begins again
        const long before = status_kb("VmRSS:");
        const double begin = processor_seconds();
        alarm(hang_seconds);
        Result r{};
        r.outcome = try_one(text);
        r.seconds = processor_seconds() - begin;
        r.growth_kb = status_kb("VmHWM:") - before;
        r.resident_kb = status_kb("VmRSS:");
        if (write(out, &r, sizeof r) != long(sizeof r))
            std::_Exit(2);
    }
    std::_Exit(0);
}

Corpus read_corpus(const std::vector<std::string>& places)
{
    std::vector<fs::path> paths;
    for (const auto& place : places)
        if (fs::is_directory(place)) {
            for (const auto& entry : fs::recursive_directory_iterator(place))
                if (entry.path().extension() == ".onnx" && entry.file_size() < (1 << 21))
                    paths.push_back(entry.path());
        } else {
            paths.emplace_back(place);
        }
    std::sort(paths.begin(), paths.end());
    Corpus corpus;
    for (const auto& path : paths) {
        std::ifstream in(path, std::ios::binary);
        corpus.files.emplace_back(std::istreambuf_iterator<char>(in),
                                  std::istreambuf_iterator<char>());
        if (corpus.files.back().size() < (1 << 17))
            corpus.small.push_back(corpus.files.back());
    }
    corpus.words = {"",         "x",         "y",
                    "Reshape",  "Expand",    "ConstantOfShape",
                    "Tile",     "Pad",       "Loop",
                    "If",       "Scan",      "Conv",
                    "MatMul",   "Gather",    "Concat",
                    "Identity", "Resize",    "Range",
                    "NonZero",  "TopK",      "LSTM",
                    "Slice",    "Split",     "Einsum",
                    "OneHot",   "ScatterND", "ConvTranspose",
                    "Cast",     "MaxPool"};
    // Lists of dimensions, as a tensor of int64 holds them.
    for (const std::int64_t d : {-1, 0, 1 << 10, 1 << 20, 1 << 30}) {
        std::string one(reinterpret_cast<const char*>(&d), sizeof d);
        corpus.words.push_back(one);
        corpus.words.push_back(one + one + one);
    }
    return corpus;
}

} // namespace

int main(int argc, char** argv)
{
    std::uint64_t runs = 1000, seed = 1;
    std::vector<std::string> places;
    for (int i = 1; i < argc; i++) {
        const std::string a = argv[i];
        if (a.compare(0, 6, "-runs=") == 0)
            runs = std::stoull(a.substr(6));
        else if (a.compare(0, 6, "-seed=") == 0)
            seed = std::stoull(a.substr(6));
        else
            places.push_back(a);
    }
    const Corpus corpus = read_corpus(places);
    if (corpus.small.empty()) {
        std::fprintf(stderr, "no corpus: give folders of .onnx files\n");
        return 1;
    }
    runs += corpus.files.size();
    std::uint64_t count[outcomes] = {}, bad = 0;
    double slowest = 0;
    long largest = 0, leak = 0;
    const auto keep = [&](std::uint64_t n, const std::string& why) {
        const std::string name = "mutant-" + std::to_string(n) + ".onnx";
        std::ofstream(name, std::ios::binary) << mutant(corpus, seed, n);
        std::printf(
            "mutant %llu %s: %s\n", static_cast<unsigned long long>(n), why.c_str(), name.c_str());
        std::fflush(stdout);
        bad++;
    };
    for (std::uint64_t done = 0; done < runs;) {
        const std::uint64_t end = std::min(done + per_child, runs);
        int ends[2];
        if (pipe(ends))
            return 1;
        const pid_t pid = fork();
        if (pid == 0) {
            close(ends[0]);
            child(corpus, seed, done, end, ends[1]);
        }
        close(ends[1]);
        long first = 0, last = 0;
        Result r{};
        while (read(ends[0], &r, sizeof r) == long(sizeof r)) {
            count[r.outcome]++;
            slowest = std::max(slowest, r.seconds);
            largest = std::max(largest, r.growth_kb);
            if (r.seconds > max_seconds)
                keep(done, "took " + std::to_string(r.seconds) + " s");
            if (r.growth_kb > max_growth_kb)
                keep(done, "grew by " + std::to_string(r.growth_kb / 1024) + " MB");
            last = r.resident_kb;
            first = first ? first : last;
            done++;
        }
        close(ends[0]);
        int status = 0;
        waitpid(pid, &status, 0);
        leak = std::max(leak, last - first);
        if (done < end)
            keep(done++,
                 WIFSIGNALED(status)
                     ? "ended its process (signal " + std::to_string(WTERMSIG(status)) + ")"
                     : "ended its process (status " + std::to_string(WEXITSTATUS(status)) + ")");
    }
    std::printf(
        "%llu mutants of %zu models:", static_cast<unsigned long long>(runs), corpus.files.size());
    for (int i = 0; i < outcomes; i++)
        std::printf(" %s %llu,", said[i], static_cast<unsigned long long>(count[i]));
    std::printf(" bad %llu; slowest %.2f s, peak +%ld MB, +%ld MB in %ld mutants\n",
                static_cast<unsigned long long>(bad),
                slowest,
                largest / 1024,
                leak / 1024,
                per_child);
    return bad || !count[works] || !count[refused] ? 1 : 0;
}
