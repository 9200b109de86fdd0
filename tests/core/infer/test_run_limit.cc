/*
 * SPDX-License-Identifier: GPL-3.0-or-later
 *
 * A graph that loops as often as its input says: what takes longer than the limit is ended, what comes after
 * it is right, and streams that share the session do not notice.
 */
#include "onnx_test.h"
#include "realtime/watchdog.h"

#include <gnuradio/diffsem/core/onnx/ort.h>

#include <atomic>
#include <chrono>
#include <thread>
#include <vector>

using namespace gr::diffsem::core;

namespace {

constexpr double limit = 0.2;
constexpr float for_ever = 1e15f;

// What a protobuf message is made of (ONNX is one).
std::string number(std::uint64_t value)
{
    std::string bytes;
    for (; value > 127; value >>= 7)
        bytes += char(value | 128);
    return bytes + char(value);
}
std::string field(int key, std::uint64_t value)
{
    return number(std::uint64_t(key) << 3) + number(value);
}
std::string field(int key, const std::string& value)
{
    return number(std::uint64_t(key) << 3 | 2) + number(value.size()) + value;
}

std::string value_info(const std::string& name, ElemType type, bool scalar)
{
    const std::string shape = scalar ? "" : field(1, field(1, 1));
    return field(1, name) + field(2, field(1, field(1, std::uint64_t(type)) + field(2, shape)));
}
std::string node(const std::string& kind,
                 const std::vector<std::string>& inputs,
                 const std::vector<std::string>& outputs,
                 const std::string& attribute = "")
{
    std::string bytes;
    for (const auto& name : inputs)
        bytes += field(1, name);
    for (const auto& name : outputs)
        bytes += field(2, name);
    return bytes + field(4, kind) + (attribute.empty() ? "" : field(5, attribute));
}

//! y [1] = the number of turns that x [1] asks for.
OnnxFile looping()
{
    const std::string body = field(1, node("Identity", {"go"}, {"go_on"})) +
                             field(1, node("Add", {"count", "one"}, {"next"})) + field(2, "body") +
                             field(11, value_info("turn", ElemType::int64, true)) +
                             field(11, value_info("go", ElemType::boolean, true)) +
                             field(11, value_info("count", ElemType::float32, false)) +
                             field(12, value_info("go_on", ElemType::boolean, true)) +
                             field(12, value_info("next", ElemType::float32, false));
    const std::string to_int64 = field(1, "to") + field(3, 7) + field(20, 2);
    const std::string as_body = field(1, "body") + field(6, body) + field(20, 5);
    const auto one_float = [](const std::string& name, const std::string& value) {
        return field(1, 1) + field(2, 1) + field(8, name) + field(9, value);
    };
    const std::string graph = field(1, node("Cast", {"x"}, {"turns"}, to_int64)) +
                              field(1, node("Loop", {"turns", "", "zero"}, {"y"}, as_body)) +
                              field(2, "looping") +
                              field(5, one_float("zero", std::string(4, '\0'))) +
                              field(5, one_float("one", std::string("\0\0\x80\x3f", 4))) +
                              field(11, value_info("x", ElemType::float32, false)) +
                              field(12, value_info("y", ElemType::float32, false));
    return parse_onnx(field(1, 8) + field(7, graph) + field(8, field(2, 17)), "loop.onnx", 1 << 20);
}

const OrtTensor x{"x", ElemType::float32, {1}}, y{"y", ElemType::float32, {1}};

OrtOptions within(double seconds)
{
    OrtOptions options;
    options.run_limit = seconds;
    return options;
}

float turns(OrtRun& run, float wanted)
{
    run.input_as<float>(0)[0] = wanted;
    run.run(1);
    return run.output_as<float>(0)[0];
}

double seconds(const std::function<void()>& action)
{
    const auto begin = std::chrono::steady_clock::now();
    action();
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
}

void a_long_run_is_ended_and_the_next_is_right()
{
    OrtRun run(OrtSession::create(looping(), within(limit)), {x}, {y}, 1);
    CHECK(turns(run, 5) == 5);
    for (int i = 0; i < 2; i++) {
        const double took = seconds(
            [&] { CHECK_THROWS(turns(run, for_ever), "loop.onnx: a run took longer than 0.2 s"); });
        CHECK_MSG(took >= limit && took < 10, "ended after " + std::to_string(took) + " s");
        CHECK(turns(run, 1000) == 1000);
    }
}

void streams_do_not_disturb_each_other()
{
    const auto session = OrtSession::create(looping(), within(limit));
    std::atomic<int> wrong{0}, right{0};
    std::atomic<bool> done{false};
    std::vector<std::thread> threads;
    for (int t = 0; t < 2; t++)
        threads.emplace_back([&] {
            OrtRun run(session, {x}, {y}, 1);
            while (!done)
                turns(run, 7) == 7 ? ++right : ++wrong;
        });
    OrtRun run(session, {x}, {y}, 1);
    CHECK_THROWS(turns(run, for_ever), "took longer");
    done = true;
    for (auto& t : threads)
        t.join();
    CHECK(wrong == 0 && right > 10);
}

//! The watchdog comes just when the run ends: either way the next run is its own.
void an_end_on_the_stroke()
{
    std::atomic<int> ends{0};
    int told = 0;
    Watch watch(2e-3, [&] { ++ends; });
    for (int i = 0; i < 300; i++) {
        watch.begin();
        std::this_thread::sleep_for(std::chrono::microseconds(i * 20));
        told += watch.finish();
    }
    CHECK_MSG(told == ends && told > 0 && told < 300,
              std::to_string(told) + " told, " + std::to_string(ends) + " ended");
}

void limits()
{
    CHECK_THROWS(OrtSession::create(looping(), within(-1)), "run_limit");
    OrtRun run(OrtSession::create(looping(), within(0)), {x}, {y}, 1);
    CHECK(turns(run, 20000) == 20000);
    Watch none(0, [] {});
    none.begin();
    CHECK(!none.finish());
}

} // namespace

int main()
{
    a_long_run_is_ended_and_the_next_is_right();
    streams_do_not_disturb_each_other();
    an_end_on_the_stroke();
    limits();
    return report("run limit");
}
