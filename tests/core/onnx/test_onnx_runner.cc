/*
 * SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Several streams through one graph, and no allocation of ours once it is made. The graphs are
 * written by tests/data/make_streams.py; the truth is what its docstrings say.
 */
#include "onnx/onnx_plan.h"
#include "onnx_test.h"
#include "runtime_allocations.h"

#include <gnuradio/diffsem/core/onnx/onnx_runner.h>
#include <gnuradio/diffsem/core/onnx/overlap.h>

#include <cmath>
#include <complex>
#include <limits>
#include <random>
#include <vector>

using namespace gr::diffsem::core;

namespace {

using cfloat = std::complex<float>;

OnnxRunnerOptions all_streams()
{
    OnnxRunnerOptions o;
    o.inputs = {{"iq", "", "planar", {}}, {"gain", "", "", {}}, {"offset", "int", "", {}}};
    o.outputs = {{"turned", "complex", "", {}}, {"index", "", "", {}}, {"soft", "", "", {}}};
    o.max_batch = 8;
    return o;
}

struct Data {
    std::vector<cfloat> iq, turned;
    std::vector<float> gain, soft;
    std::vector<std::int32_t> offset, index;

    Data(std::size_t batch, unsigned seed)
        : iq(16 * batch),
          turned(16 * batch),
          gain(4 * batch),
          soft(16 * batch),
          offset(batch),
          index(batch)
    {
        std::mt19937 random(seed);
        std::normal_distribution<float> normal;
        for (auto& v : iq)
            v = {normal(random), normal(random)};
        for (auto& v : gain)
            v = normal(random);
        for (auto& v : offset)
            v = static_cast<std::int32_t>(random() % 1000) - 500;
    }

    void run(OnnxRunner& runner, std::size_t batch)
    {
        const void* in[] = {iq.data(), gain.data(), offset.data()};
        void* out[] = {turned.data(), index.data(), soft.data()};
        runner.run(in, batch, out);
    }
};

void streams_of_every_type()
{
    OnnxRunner runner(data_file("streams/several.onnx"), all_streams());
    CHECK(runner.inputs().size() == 3 && runner.outputs().size() == 3);
    CHECK(runner.inputs()[0].type == StreamType::complex && runner.inputs()[0].elements == 16);
    CHECK(runner.inputs()[2].type == StreamType::integer && runner.inputs()[2].elements == 1);
    CHECK(runner.outputs()[0].type == StreamType::complex && runner.outputs()[0].elements == 16);
    CHECK(runner.outputs()[1].type == StreamType::integer && runner.outputs()[1].elements == 1);
    CHECK(runner.outputs()[2].name == "soft" && runner.outputs()[2].shape.size() == 1);
    CHECK(!runner.fixed_batch());
    for (std::size_t batch : {1, 3, 8}) {
        Data d(batch, static_cast<unsigned>(batch));
        d.run(runner, batch);
        for (std::size_t b = 0; b < batch; ++b) {
            float total = 0;
            for (int i = 0; i < 4; ++i)
                total += d.gain[4 * b + i];
            std::size_t best = 0;
            for (std::size_t i = 0; i < 16; ++i) {
                const std::size_t at = 16 * b + i;
                CHECK(std::abs(d.soft[at] - std::norm(d.iq[at]) * total) < 1e-4f);
                CHECK(std::abs(d.turned[at] - d.iq[at] * total) < 1e-5f);
                if (d.soft[at] > d.soft[16 * b + best])
                    best = i;
            }
            CHECK(d.index[b] == static_cast<std::int32_t>(best) + d.offset[b]);
        }
    }
}

void without_allocations()
{
    OnnxRunner runner(data_file("streams/several.onnx"), all_streams());
    Data d(8, 1);
    d.run(runner, 8);
    OverlapOptions o;
    o.mode = "add";
    o.window = "sqrt_hann";
    const std::vector<OnnxStream> ends = {{"x", StreamType::complex, 4, {4}}};
    Overlap overlap(o, ends, ends);
    std::vector<cfloat> in(2 + 2 * 4), windows(4 * 4), out(2 * 4);

    const long before = allocations_of_ours();
    for (int i = 0; i < 100; ++i) {
        d.run(runner, 8);
        d.run(runner, 3);
        overlap.cut(0, in.data(), 4, windows.data());
        overlap.join(0, windows.data(), 4, out.data());
    }
    const long ours = allocations_of_ours() - before;
    CHECK_MSG(ours == 0, std::to_string(ours) + " allocations of ours in 200 runs");
#ifdef COUNTS_ALLOCATIONS
    CHECK(before > 0 && of_the_runtime > 0); // the counters do count
#endif
}

//! What is fixed to a batch of three, or has no batch, holds the others to it.
void streams_that_do_not_fit()
{
    const auto with = [](auto change) {
        OnnxRunnerOptions o = all_streams();
        change(o);
        return OnnxRunner(data_file("streams/several.onnx"), o).note();
    };
    using O = OnnxRunnerOptions;
    CHECK_THROWS(with([](O& o) { o.inputs.pop_back(); }), "list it in inputs");
    CHECK_THROWS(with([](O& o) { o.inputs[1].name = "iq"; }), "lists 'iq' twice");
    CHECK_THROWS(with([](O& o) { o.inputs[1].name = ""; }), "one without a name");
    CHECK_THROWS(with([](O& o) { o.outputs[1].name = "hard"; }), "output is 'hard', but the graph");
    CHECK_THROWS(with([](O& o) { o.inputs[1].type = "short"; }), "input_type is 'short'");
    CHECK_THROWS(with([](O& o) { o.inputs[1].layout = "polar"; }), "layout is 'polar'");
    CHECK_THROWS(with([](O& o) { o.inputs[1].shape = {5}; }), "shape does not agree");
    CHECK_THROWS(with([](O& o) { o.inputs.resize(17); }), "at most 16");
    CHECK_THROWS(with([](O& o) { o.constants = "{\"gain\": 1}"; }), "which is streamed");
    O one;
    one.inputs = {{"iq", "", "planar", {}}, {"gain", "", "", {}}};
    one.constants = "{\"offset\": 7}";
    one.max_batch = 1;
    CHECK(OnnxRunner(data_file("streams/several.onnx"), one).fixed_batch());
}

void what_the_file_lists()
{
    OnnxRunner runner(data_file("streams/declared.onnx"), OnnxRunnerOptions());
    CHECK(runner.inputs().size() == 2 && runner.outputs().size() == 2);
    CHECK(runner.inputs()[0].type == StreamType::complex);
    CHECK(runner.outputs()[1].type == StreamType::integer);
    const auto listed = [](const char* value) {
        OnnxFile file = read_onnx_file(data_file("streams/declared.onnx"));
        file.metadata["diffsem.inputs"] = value;
        return plan_graph(file, OnnxRunnerOptions()).inputs.size();
    };
    CHECK(listed("[\"iq\", \"gain\", \"offset\"]") == 3);
    CHECK_THROWS(listed("{}"), "diffsem.inputs must be a list");
    CHECK_THROWS(listed("[3]"), "diffsem.inputs must be a list of names");
    CHECK_THROWS(listed("[{\"name\": \"iq\", \"lenght\": 3}]"), "has 'lenght'");
    CHECK_THROWS(listed("[{\"name\": \"iq\", \"shape\": [-1]}]"), "shape is '[-1]'");
    CHECK_THROWS(listed("[\"iq\", \"snr\"]"), "input is 'snr', but the graph has");
}

//! A GRU of 16 steps whose last state is the next one's first: as one of many steps, and anew after reset().
void a_state_goes_on()
{
    OnnxRunnerOptions o;
    o.inputs = {{"x", "", "", {}}};
    o.outputs = {{"last", "", "", {}}};
    o.batch_axis = "1";
    o.constants = "{\"h0\": [[[0.1, 0.2, 0.3, 0.4, 0.5, 0.6]]]}";
    const auto path = data_file("foreign/gru_time_first_opset14.onnx");
    OnnxRunner apart(path, o);
    CHECK(!apart.stateful());
    o.state = "{\"h0\": \"last\"}";
    OnnxRunner runner(path, o);
    CHECK(runner.stateful() && runner.max_batch() == 1);
    std::vector<float> x(48, 0.5f), one(6), two(6), again(6);
    const void* in[] = {x.data()};
    const auto answer = [&](OnnxRunner& r, std::vector<float>& y) {
        void* out[] = {y.data()};
        r.run(in, 1, out);
    };
    answer(runner, one);
    answer(apart, again);
    CHECK(one == again); // from the constants
    answer(runner, two);
    CHECK(one != two);
    const auto allocated_by = [&](OnnxRunner& r) {
        answer(r, again); // warm
        const long start = allocations_of_ours();
        r.reset();
        answer(r, again);
        return allocations_of_ours() - start;
    };
    const long with_state = allocated_by(runner), without = allocated_by(apart);
    CHECK_MSG(with_state == without,
              std::to_string(with_state) + " allocations with a state, " + std::to_string(without) +
                  " without");
    runner.reset();
    answer(runner, again);
    CHECK(one == again);
    OnnxRunner copy(runner); // has a state of its own
    answer(copy, again);
    CHECK(one == again);
    answer(runner, again);
    CHECK(two == again);

    const auto with = [&](const char* state, const char* constants) {
        OnnxRunnerOptions other = o;
        other.state = state;
        other.constants = constants;
        return OnnxRunner(path, other).note();
    };
    CHECK_THROWS(with("{\"h0\": \"seq\"}", ""), "of the same type and size");
    CHECK_THROWS(with("{\"h0\": \"h1\"}", ""), "state is 'h1'");
    CHECK_THROWS(with("{\"h0\": 1}", ""), "Give the name of the output");
    CHECK_THROWS(with("[1]", ""), "Give a JSON object");
    CHECK_THROWS(with("{\"x\": \"last\"}", ""), "which is streamed");
    CHECK_THROWS(with("", "{\"h0\": [1, 2]}"), "2 values. Give one for all, or 6");
    CHECK_THROWS(with("", "{\"h0\": [[1], [2, 3]]}"), "all of one length");
    CHECK_THROWS(with("", "{\"h0\": \"no\"}"), "Give a number");
}

void integers_saturate()
{
    OnnxRunnerOptions o = all_streams();
    OnnxRunner runner(data_file("streams/several.onnx"), o);
    Data d(1, 3);
    d.offset[0] = std::numeric_limits<std::int32_t>::max();
    std::fill(d.iq.begin(), d.iq.end(), cfloat(0));
    d.iq[9] = 1;
    std::fill(d.gain.begin(), d.gain.end(), 1.0f);
    d.run(runner, 1);
    CHECK(d.index[0] == std::numeric_limits<std::int32_t>::max()); // 2^31 - 1 + 9 as int64
}

} // namespace

int main()
{
    count_runtime_apart();
    streams_of_every_type();
    without_allocations();
    streams_that_do_not_fit();
    what_the_file_lists();
    integers_saturate();
    a_state_goes_on();
    return report("onnx runner");
}
