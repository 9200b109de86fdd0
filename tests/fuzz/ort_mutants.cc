/*
 * SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Mutated models through our pre-validator, and what passes it through ONNX Runtime: a session and one run, in a
 * child of limited memory and time. Each mutant must end in an error or in a working session.
 *
 *     ort_mutants RUNS SEED FOLDER...
 */
#include <gnuradio/diffsem/core/onnx_runner.h>
#include <gnuradio/diffsem/core/ort.h>

#include "mutate.h"

#include <algorithm>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <memory>
#include <new>

using namespace gr::diffsem::core;

namespace {

enum Outcome { refused, ort_refused, run_failed, works, crashed, outcomes };

Outcome try_one(const std::string& bytes)
{
    OnnxFile file;
    try {
        file = parse_onnx(bytes, "mutant.onnx", std::size_t(16) << 20);
    } catch (const Error&) {
        return refused;
    }
    std::shared_ptr<const OrtSession> session;
    try {
        session = OrtSession::create(file);
    } catch (const Error&) {
        return ort_refused;
    }
    try {
        std::vector<OrtTensor> inputs;
        for (const auto& t : file.inputs) {
            inputs.push_back({t.name, t.type, t.shape});
            if (!elem_size(t.type) || inputs.back().elements(2) > (std::size_t(1) << 22))
                return run_failed;
        }
        session->probe(inputs, {file.outputs.front().name}, 2);
    } catch (const Error&) {
        return run_failed;
    } catch (const std::bad_alloc&) {
        return run_failed;
    }
    return works;
}

void limit(int what, rlim_t value)
{
    const rlimit both{value, value};
    setrlimit(what, &both);
}

// One child runs mutants until it dies; its outcomes come back byte by byte, then the next child goes on.
void child(const std::vector<std::string>& corpus, std::uint64_t seed, long from, long to, int out)
{
    limit(RLIMIT_AS, rlim_t(2) << 30);
    limit(RLIMIT_CORE, 0);
    if (!std::freopen("/dev/null", "w", stderr))
        std::_Exit(2);
    for (long i = from; i < to; i++) {
        std::mt19937_64 random(seed * 1000003 + std::uint64_t(i));
        alarm(20);
        const char outcome = char(try_one(mutate(corpus, random)));
        if (write(out, &outcome, 1) != 1)
            std::_Exit(2);
    }
    std::_Exit(0);
}

} // namespace

int main(int argc, char** argv)
{
    if (argc < 4) {
        std::fprintf(stderr, "usage: ort_mutants RUNS SEED FOLDER...\n");
        return 1;
    }
    const long runs = std::atol(argv[1]);
    const std::uint64_t seed = std::strtoull(argv[2], nullptr, 10);
    std::vector<std::string> paths, corpus;
    for (int i = 3; i < argc; i++)
        for (const auto& entry : std::filesystem::directory_iterator(argv[i]))
            if (entry.path().extension() == ".onnx" && entry.file_size() < (1 << 18))
                paths.push_back(entry.path().string());
    std::sort(paths.begin(), paths.end());
    for (const auto& path : paths) {
        std::ifstream in(path, std::ios::binary);
        corpus.emplace_back(std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>());
    }
    long count[outcomes] = {};
    for (long done = 0; done < runs && !corpus.empty();) {
        int ends[2];
        if (pipe(ends))
            return 1;
        const pid_t pid = fork();
        if (pid == 0) {
            close(ends[0]);
            child(corpus, seed, done, runs, ends[1]);
        }
        close(ends[1]);
        for (char outcome; read(ends[0], &outcome, 1) == 1; done++)
            count[int(outcome)]++;
        close(ends[0]);
        int status = 0;
        waitpid(pid, &status, 0);
        if (done < runs) {
            std::printf("mutant %ld ended its process (signal %d)\n", done, WTERMSIG(status));
            count[crashed]++;
            done++;
        }
    }
    std::printf("%ld mutants of %zu models: refused by us %ld, by ONNX Runtime %ld, in the run "
                "%ld, work %ld, crashed %ld\n",
                runs,
                corpus.size(),
                count[refused],
                count[ort_refused],
                count[run_failed],
                count[works],
                count[crashed]);
    return count[crashed] || !count[works] || !count[refused] ? 1 : 0;
}
