/*
 * SPDX-License-Identifier: GPL-3.0-or-later
 *
 * The block onnx_inference against the loop one would write by hand: ONNX Runtime's C interface,
 * bound once, same net, same batch, same thread settings. Pairs are interleaved, because machines
 * are noisy, and both time (of the clock, and of the computing thread) are taken.
 *
 * bench_ort_loop MODEL ITEM_FLOATS OUT_FLOATS BATCH PAIRS SECONDS
 * prints one JSON object.
 */
#define ORT_API_MANUAL_INIT
#include <onnxruntime_c_api.h>

#include <gnuradio/blocks/null_sink.h>
#include <gnuradio/blocks/vector_source.h>
#include <gnuradio/diffsem/core/onnx/ort.h>
#include <gnuradio/diffsem/onnx_inference.h>
#include <gnuradio/logger.h>
#include <gnuradio/top_block.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <dlfcn.h>
#include <filesystem>
#include <fstream>
#include <random>
#include <string>
#include <thread>
#include <time.h>
#include <unistd.h>
#include <vector>

namespace {

struct Cost {
    double wall = 0, cpu = 0; // seconds for one item
};

double now()
{
    return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch())
        .count();
}

double thread_cpu()
{
    timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return double(t.tv_sec) + 1e-9 * double(t.tv_nsec);
}

std::vector<float> noise(std::size_t count)
{
    std::mt19937 random(1);
    std::normal_distribution<float> normal;
    std::vector<float> x(count);
    for (auto& v : x)
        v = normal(random);
    return x;
}

//! The loop by hand.
class Loop
{
public:
    Loop(const std::string& model, std::int64_t in, std::int64_t out, std::int64_t batch)
        : d_batch(batch),
          d_in(noise(std::size_t(in * batch))),
          d_out(std::size_t(out * batch))
    {
        const std::string library = gr::diffsem::core::find_onnxruntime().path;
        void* handle = dlopen(library.c_str(), RTLD_NOW | RTLD_LOCAL);
        const auto base = reinterpret_cast<const OrtApiBase* (*)()>(dlsym(handle, "OrtGetApiBase"));
        d_api = base()->GetApi(21);
        OrtEnv* env = nullptr;
        OrtSessionOptions* options = nullptr;
        OrtMemoryInfo* memory = nullptr;
        check(d_api->CreateEnv(ORT_LOGGING_LEVEL_ERROR, "loop", &env));
        check(d_api->CreateSessionOptions(&options));
        check(d_api->SetIntraOpNumThreads(options, 1));
        check(d_api->SetInterOpNumThreads(options, 1));
        check(d_api->AddSessionConfigEntry(options, "session.intra_op.allow_spinning", "0"));
        check(d_api->CreateSession(env, model.c_str(), options, &d_session));
        check(d_api->CreateCpuMemoryInfo(OrtArenaAllocator, OrtMemTypeDefault, &memory));
        const std::int64_t in_shape[] = {batch, in}, out_shape[] = {batch, out};
        const auto type = ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT;
        check(d_api->CreateTensorWithDataAsOrtValue(
            memory, d_in.data(), d_in.size() * 4, in_shape, 2, type, &d_x));
        check(d_api->CreateTensorWithDataAsOrtValue(
            memory, d_out.data(), d_out.size() * 4, out_shape, 2, type, &d_y));
    }

    Cost run(double seconds)
    {
        once();
        const double started = now(), cpu = thread_cpu();
        std::uint64_t calls = 0;
        while (now() - started < seconds) {
            for (int i = 0; i < 32; ++i)
                once();
            calls += 32;
        }
        const double items = double(calls) * double(d_batch);
        return {(now() - started) / items, (thread_cpu() - cpu) / items};
    }

private:
    void once()
    {
        const char *in = "x", *out = "y";
        check(d_api->Run(d_session, nullptr, &in, &d_x, 1, &out, 1, &d_y));
    }
    void check(OrtStatus* status)
    {
        if (!status)
            return;
        std::fprintf(stderr, "%s\n", d_api->GetErrorMessage(status));
        std::exit(1);
    }

    const OrtApi* d_api = nullptr;
    OrtSession* d_session = nullptr;
    OrtValue *d_x = nullptr, *d_y = nullptr;
    std::int64_t d_batch;
    std::vector<float> d_in, d_out;
};

//! CPU seconds of the thread of this process that a block of that name runs in.
double block_cpu(const std::string& name)
{
    for (const auto& task : std::filesystem::directory_iterator("/proc/self/task")) {
        std::string comm;
        std::getline(std::ifstream(task.path() / "comm"), comm);
        if (comm.compare(0, name.size(), name) != 0)
            continue;
        double nanoseconds = 0;
        std::ifstream(task.path() / "schedstat") >> nanoseconds;
        return 1e-9 * nanoseconds;
    }
    return 0;
}

Cost run_block(const std::string& model, int in, int batch, double seconds)
{
    gr::diffsem::onnx_inference_options options;
    options.max_batch = batch;
    const auto block = gr::diffsem::onnx_inference::make(model, options);
    const auto source = gr::blocks::vector_source<float>::make(
        noise(std::size_t(in) * 256), true, static_cast<unsigned>(in));
    const auto sink =
        gr::blocks::null_sink::make(sizeof(float) * static_cast<std::size_t>(block->out_vlen()));
    const auto tb = gr::make_top_block("bench");
    source->set_min_output_buffer(2048); // the default, 64 kB, is 45 us of work of the smallest net
    tb->connect(source, 0, block, 0);
    tb->connect(block, 0, sink, 0);
    tb->start();
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
    const double started = now(), cpu = block_cpu("onnx_inference");
    const auto before = block->live().items_in();
    std::this_thread::sleep_for(std::chrono::duration<double>(seconds));
    const double items = double(block->live().items_in() - before);
    const Cost cost{(now() - started) / items, (block_cpu("onnx_inference") - cpu) / items};
    tb->stop();
    tb->wait();
    return cost;
}

double median(std::vector<double> v)
{
    std::sort(v.begin(), v.end());
    return v.empty() ? 0 : 0.5 * (v[v.size() / 2] + v[(v.size() - 1) / 2]);
}

long resident_kb()
{
    long pages = 0, resident = 0;
    std::ifstream("/proc/self/statm") >> pages >> resident;
    return resident * (sysconf(_SC_PAGESIZE) / 1024);
}

} // namespace

int main(int argc, char** argv)
{
    if (argc < 7) {
        std::fprintf(stderr, "usage: %s MODEL IN OUT BATCH PAIRS SECONDS\n", argv[0]);
        return 2;
    }
    const std::string model = argv[1];
    const int in = std::atoi(argv[2]), out = std::atoi(argv[3]), batch = std::atoi(argv[4]);
    const int pairs = std::atoi(argv[5]);
    const double seconds = std::atof(argv[6]);
    setenv("ORT_DISABLE_TELEMETRY", "1", 1);
    gr::logging::singleton().set_default_level(spdlog::level::warn); // it logs to stdout
    Loop loop(model, in, out, batch);
    run_block(model, in, batch, 0.1);
    std::vector<double> wall, cpu, loop_cpu, block_time;
    long warm = 0;
    for (int i = 0; i < pairs; ++i) {
        const Cost a = loop.run(seconds);
        const Cost b = run_block(model, in, batch, seconds);
        wall.push_back(b.wall / a.wall);
        cpu.push_back(b.cpu / a.cpu);
        loop_cpu.push_back(a.cpu * 1e6);
        block_time.push_back(b.cpu * 1e6);
        if (i == 0)
            warm = resident_kb();
    }
    std::printf("{\"batch\": %d, \"pairs\": %d, \"wall_ratio\": %.4f, \"thread_ratio\": %.4f, "
                "\"loop_us\": %.3f, \"block_us\": %.3f, \"rss_growth_kb\": %ld}\n",
                batch,
                pairs,
                median(wall),
                median(cpu),
                median(loop_cpu),
                median(block_time),
                resident_kb() - warm);
    return 0;
}
