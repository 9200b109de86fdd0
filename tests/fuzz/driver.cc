/*
 * SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Runs a fuzz target without libFuzzer: the corpus as it is, then seeded mutations of it. What a run does follows
 * from its arguments alone. A crash, a sanitizer's word, an input that takes more than a second or the process
 * growing beyond 256 MB ends it with an error; the input is left in fuzz-failure.bin.
 *
 *     fuzz_npy [-runs=N] [-seed=S] CORPUS...          (files or folders)
 */
#include <sys/resource.h>

#include <algorithm>
#include <csignal>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <random>
#include <string>
#include <vector>

#include "mutate.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);

#if defined(__SANITIZE_ADDRESS__)
extern "C" void __sanitizer_set_death_callback(void (*callback)());
#endif

namespace {

constexpr double max_seconds = 1.0;
constexpr long max_rss_kb = 256 * 1024;

std::string current;

void keep()
{
    std::ofstream("fuzz-failure.bin", std::ios::binary) << current;
    std::fprintf(stderr, "the input (%zu bytes) is in fuzz-failure.bin\n", current.size());
}

void on_abort(int)
{
    keep();
    std::_Exit(1);
}

double run(const std::string& input)
{
    current = input;
    const std::clock_t begin = std::clock(); // of the processor: the machine may be busy
    LLVMFuzzerTestOneInput(reinterpret_cast<const std::uint8_t*>(current.data()), current.size());
    const double took = double(std::clock() - begin) / CLOCKS_PER_SEC;
    if (took > max_seconds) {
        std::fprintf(stderr, "an input took %.2f s\n", took);
        keep();
        std::exit(1);
    }
    return took;
}

long peak_kb()
{
    rusage usage{};
    getrusage(RUSAGE_SELF, &usage);
    return usage.ru_maxrss;
}

} // namespace

int main(int argc, char** argv)
{
    namespace fs = std::filesystem;
    std::uint64_t runs = 20000, seed = 1;
    std::vector<std::string> paths, corpus;
    for (int i = 1; i < argc; i++) {
        const std::string a = argv[i];
        if (a.compare(0, 6, "-runs=") == 0)
            runs = std::stoull(a.substr(6));
        else if (a.compare(0, 6, "-seed=") == 0)
            seed = std::stoull(a.substr(6));
        else if (fs::is_directory(a))
            for (const auto& entry : fs::directory_iterator(a))
                paths.push_back(entry.path().string());
        else
            paths.push_back(a);
    }
    std::sort(paths.begin(), paths.end());
    for (const auto& path : paths) {
        std::ifstream in(path, std::ios::binary);
        corpus.emplace_back(std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>());
    }
    if (corpus.empty()) {
        std::fprintf(stderr, "no corpus: give files or a folder\n");
        return 1;
    }
    std::signal(SIGABRT, on_abort);
#if defined(__SANITIZE_ADDRESS__)
    __sanitizer_set_death_callback(keep);
#endif
    double slowest = 0;
    for (const auto& input : corpus)
        slowest = std::max(slowest, run(input));
    std::mt19937_64 random(seed);
    for (std::uint64_t n = 0; n < runs; n++) {
        slowest = std::max(slowest, run(mutate(corpus, random)));
        if (n % 256 == 0 && peak_kb() > max_rss_kb) {
            std::fprintf(stderr, "the process grew to %ld kB\n", peak_kb());
            keep();
            return 1;
        }
    }
    std::printf("%zu + %llu inputs, slowest %.1f ms, peak %ld MB\n",
                corpus.size(),
                static_cast<unsigned long long>(runs),
                1e3 * slowest,
                peak_kb() / 1024);
}
