/*
 * SPDX-License-Identifier: GPL-3.0-or-later
 *
 * The arithmetic of windows that overlap, with models in closed form: the identity, a filter that
 * sees only its window, every second sample.
 */
#include "onnx_test.h"

#include <gnuradio/diffsem/core/onnx/overlap.h>

#include <cmath>
#include <complex>
#include <functional>
#include <random>
#include <vector>

using namespace gr::diffsem::core;

namespace {

using cfloat = std::complex<float>;
using Model = std::function<void(const float* window, float* answer)>;

OnnxStream stream(std::size_t elements,
                  StreamType type = StreamType::real,
                  std::vector<std::int64_t> shape = {})
{
    if (shape.empty())
        shape = {static_cast<std::int64_t>(elements)};
    return {"x", type, elements, shape};
}

std::vector<float> noise(std::size_t count, unsigned seed = 1)
{
    std::mt19937 random(seed);
    std::normal_distribution<float> normal;
    std::vector<float> x(count);
    for (auto& v : x)
        v = normal(random);
    return x;
}

struct Shape {
    std::size_t in, out; // floats of a sample
};

//! Streams x through the windows, `chunk` hops at a time, as a block would: zeros before it.
std::vector<float>
run(Overlap& overlap, const std::vector<float>& x, const Model& model, std::size_t chunk, Shape s)
{
    const std::size_t history = overlap.window() - overlap.hop();
    std::vector<float> padded(history * s.in, 0), y;
    padded.insert(padded.end(), x.begin(), x.end());
    const std::size_t hops = x.size() / s.in / overlap.hop();
    const std::size_t answer = overlap.output_hop(0) * overlap.window() / overlap.hop() * s.out;
    for (std::size_t done = 0; done < hops; done += chunk) {
        const std::size_t count = std::min(chunk, hops - done);
        std::vector<float> windows(count * overlap.window() * s.in), answers(count * answer);
        std::vector<float> out(count * overlap.output_hop(0) * s.out);
        overlap.cut(0, padded.data() + done * overlap.hop() * s.in, count, windows.data());
        for (std::size_t k = 0; k < count; ++k)
            model(windows.data() + k * overlap.window() * s.in, answers.data() + k * answer);
        overlap.join(0, answers.data(), count, out.data());
        y.insert(y.end(), out.begin(), out.end());
    }
    return y;
}

Model identity(std::size_t floats)
{
    return [floats](const float* in, float* out) { std::copy(in, in + floats, out); };
}

//! y[t] = sum over -before..after of (i + 2) x[t + i], zeros beyond the window.
std::vector<float> filtered(const std::vector<float>& x, int before, int after)
{
    std::vector<float> y(x.size(), 0);
    for (int t = 0; t < static_cast<int>(x.size()); ++t)
        for (int i = -before; i <= after; ++i)
            if (t + i >= 0 && t + i < static_cast<int>(x.size()))
                y[t] += static_cast<float>(i + before + 2) * x[t + i];
    return y;
}

void discard_equals_the_whole_stream()
{
    const auto x = noise(500);
    struct Case {
        const char* keep;
        int before, after;
        std::size_t window, hop, delay;
    };
    for (const Case& c : {Case{"centre", 3, 3, 16, 10, 3},
                          Case{"centre", 3, 4, 16, 9, 4},
                          Case{"centre", 0, 0, 16, 16, 0},
                          Case{"tail", 5, 0, 16, 11, 0},
                          Case{"tail", 15, 0, 16, 1, 0}}) {
        OverlapOptions o;
        o.hop = c.hop;
        o.keep = c.keep;
        const auto truth = filtered(x, c.before, c.after);
        for (std::size_t chunk : {1, 3, 1000}) {
            Overlap overlap(o, {stream(c.window)}, {stream(c.window)});
            CHECK(overlap.delay(0) == c.delay);
            const auto y = run(overlap,
                               x,
                               [&](const float* in, float* out) {
                                   const auto part =
                                       filtered({in, in + c.window}, c.before, c.after);
                                   std::copy(part.begin(), part.end(), out);
                               },
                               chunk,
                               {1, 1});
            CHECK(y.size() == x.size() / c.hop * c.hop);
            double worst = 0;
            for (std::size_t n = c.delay; n < y.size(); ++n)
                worst = std::max<double>(worst, std::abs(y[n] - truth[n - c.delay]));
            CHECK_MSG(worst < 1e-4, std::string(c.keep) + ": " + std::to_string(worst));
        }
    }
}

void adding_reconstructs()
{
    struct Case {
        const char* window;
        std::size_t length, hop;
        StreamType type;
        std::size_t vlen;
        std::vector<std::int64_t> shape;
    };
    for (const Case& c : {Case{"hann", 16, 8, StreamType::real, 1, {16}},
                          Case{"hann", 15, 5, StreamType::real, 1, {15}},
                          Case{"sqrt_hann", 16, 4, StreamType::complex, 1, {16}},
                          Case{"rectangular", 16, 2, StreamType::complex, 1, {16}},
                          Case{"rectangular", 16, 16, StreamType::real, 1, {16}},
                          Case{"sqrt_hann", 16, 8, StreamType::complex, 3, {16, 3}},
                          Case{"sqrt_hann", 16, 8, StreamType::complex, 3, {3, 16}},
                          Case{"hann", 16, 8, StreamType::real, 3, {48}}}) {
        OverlapOptions o;
        o.mode = "add";
        o.window = c.window;
        o.hop = c.hop;
        o.input_vlens = o.output_vlens = {c.vlen};
        const OnnxStream s = stream(c.length * c.vlen, c.type, c.shape);
        const std::size_t parts = c.type == StreamType::complex ? 2 : 1, sample = c.vlen * parts;
        const auto x = noise(203 * sample, 7);
        for (std::size_t chunk : {1, 4, 1000}) {
            Overlap overlap(o, {s}, {s});
            CHECK(overlap.delay(0) == c.length - c.hop);
            const auto y = run(overlap, x, identity(c.length * sample), chunk, {sample, sample});
            double worst = 0;
            for (std::size_t n = 0; n < y.size(); ++n) {
                const std::size_t late = overlap.delay(0) * sample;
                worst = std::max<double>(worst, std::abs(y[n] - (n < late ? 0 : x[n - late])));
            }
            CHECK_MSG(worst < 1e-5, std::string(c.window) + ": " + std::to_string(worst));
            CHECK(y.size() == 203 / c.hop * c.hop * sample);
        }
    }
}

//! An output of half the rate: every second sample of its input.
void fewer_outputs()
{
    const auto x = noise(400, 3);
    const Model second = [](const float* in, float* out) {
        for (int t = 0; t < 8; ++t)
            out[t] = in[2 * t];
    };
    for (const char* mode : {"discard", "add"}) {
        OverlapOptions o;
        o.mode = mode;
        o.hop = 8;
        Overlap overlap(o, {stream(16)}, {stream(8)});
        CHECK(overlap.output_hop(0) == 4);
        const auto y = run(overlap, x, second, 5, {1, 1});
        const std::size_t delay = overlap.delay(0);
        CHECK(delay == (std::string(mode) == "add" ? 4 : 2));
        for (std::size_t n = delay; n < y.size(); ++n)
            CHECK(std::abs(y[n] - x[2 * (n - delay)]) < 1e-5f);
    }
}

//! Three values of each sample, which lie [3, 8]: they come out sample by sample. Ints too.
void time_last()
{
    OverlapOptions o;
    o.hop = 4;
    o.output_vlens = {3};
    Overlap overlap(o, {stream(8)}, {stream(24, StreamType::integer, {3, 8})});
    std::vector<float> window(8);
    std::vector<std::int32_t> answer(24), out(12);
    for (int i = 0; i < 24; ++i)
        answer[i] = i;
    overlap.join(0, answer.data(), 1, out.data());
    for (int t = 0; t < 4; ++t)
        for (int f = 0; f < 3; ++f)
            CHECK(out[3 * t + f] == 8 * f + t + 2);
}

void starts_anew()
{
    OverlapOptions o;
    o.mode = "add";
    Overlap overlap(o, {stream(4)}, {stream(4)});
    const float ones[4] = {1, 1, 1, 1};
    float first[2], again[2];
    overlap.join(0, ones, 1, first);
    overlap.join(0, ones, 1, again);
    CHECK(again[0] != first[0]);
    overlap.reset();
    overlap.join(0, ones, 1, again);
    CHECK(again[0] == first[0] && again[1] == first[1]);
    const float infinite[4] = {INFINITY, 1, 1, 1}; // where a Hann window is 0
    overlap.join(0, infinite, 1, again);
    CHECK(std::isfinite(again[0]));
}

void refusals()
{
    const auto make = [](std::function<void(OverlapOptions&)> change,
                         OnnxStream in = stream(16),
                         OnnxStream out = stream(16)) {
        OverlapOptions o;
        change(o);
        return Overlap(o, {in}, {out}).hop();
    };
    using O = OverlapOptions;
    const auto add = [](O& o) { o.mode = "add"; };
    const auto nothing = [](O&) {};
    CHECK(make(nothing) == 8);
    CHECK_THROWS(make([](O& o) { o.mode = "save"; }), "overlap is 'save'");
    CHECK_THROWS(make([](O& o) { o.window = "hamming"; }), "window is 'hamming'");
    CHECK_THROWS(make([](O& o) { o.keep = "head"; }), "keep is 'head'");
    CHECK_THROWS(make([](O& o) { o.time_axis = "2"; }), "time_axis is '2'");
    CHECK_THROWS(make([](O& o) { o.hop = 17; }), "hop is 17");
    CHECK_THROWS(make([](O& o) { o.input_vlens = {5}; }), "not a multiple of its vlen, 5");
    CHECK_THROWS(make(nothing, stream(16), stream(12)), "no whole fraction");
    CHECK_THROWS(make(nothing, stream(16), stream(32)), "no whole fraction");
    CHECK_THROWS(make([](O& o) { o.hop = 3; }, stream(16), stream(8)), "must be a multiple of 2");
    CHECK_THROWS(make([](O& o) { o.mode = "add", o.hop = 5; }), "do not add up");
    CHECK_THROWS(make([](O& o) { o.mode = "add", o.hop = 16; }), "do not add up");
    CHECK_THROWS(make([](O& o) { o.mode = "add", o.window = "rectangular", o.hop = 3; }),
                 "do not add up");
    const OnnxStream ints = stream(16, StreamType::integer);
    CHECK_THROWS(make(add, stream(16), ints), "use discard");
    CHECK_THROWS(make([](O& o) { o.mode = "add", o.window = "sqrt_hann"; }, ints), "use hann");
    const OnnxStream flat = stream(24, StreamType::real, {2, 12});
    CHECK_THROWS(make(nothing, flat), "Give the elements of one sample");
    CHECK_THROWS(make([](O& o) { o.input_vlens = {3}; }, flat), "neither the first nor the last");
    CHECK_THROWS(make([](O& o) { o.input_vlens = {4}; }, stream(16, StreamType::real, {4, 4})),
                 "Give time_axis");
    try {
        Overlap(OverlapOptions(), {stream(16), stream(8)}, {stream(16)});
        CHECK(false);
    } catch (const Error& e) {
        CHECK(std::string(e.what()).find("of equal length") != std::string::npos);
    }
}

} // namespace

int main()
{
    discard_equals_the_whole_stream();
    adding_reconstructs();
    fewer_outputs();
    time_last();
    starts_anew();
    refusals();
    return report("overlap");
}
