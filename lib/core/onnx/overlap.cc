/*
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#include <gnuradio/diffsem/core/onnx/overlap.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <vector>

namespace gr {
namespace diffsem {
namespace core {
namespace {

std::string text(std::size_t n)
{
    return std::to_string(n);
}

std::string shape_text(const OnnxStream& s)
{
    std::string out;
    for (const auto d : s.shape)
        out += (out.empty() ? "[" : ", ") + std::to_string(d);
    return out.empty() ? "a single element" : out + "]";
}

void check_choice(const char* parameter,
                  const std::string& value,
                  const std::vector<std::string>& allowed)
{
    std::string known;
    for (const auto& a : allowed) {
        if (value == a)
            return;
        known += (known.empty() ? "" : ", ") + (a.empty() ? "nothing" : a);
    }
    throw Error(std::string(parameter) + " is '" + value + "': give one of " + known);
}

//! Periodic, so that moved copies can add up to a constant.
std::vector<float> make_window(const std::string& name, std::size_t samples)
{
    std::vector<float> w(samples, 1);
    if (name == "rectangular")
        return w;
    for (std::size_t n = 0; n < samples; ++n) {
        const double s = std::sin(M_PI * static_cast<double>(n) / static_cast<double>(samples));
        w[n] = static_cast<float>(name == "hann" ? s * s : s);
    }
    return w;
}

} // namespace

//! Which dimension is time, and how many elements one sample has.
Overlap::Port Overlap::make_port(const OnnxStream& stream,
                                 std::size_t vlen,
                                 const std::string& side,
                                 const std::string& time_axis)
{
    const std::string what =
        "overlap: the graph's " + side + " '" + stream.name + "' is " + shape_text(stream);
    Port p;
    p.bytes = stream_size(stream.type);
    p.doubles = stream.type == StreamType::real64;
    const auto dim = [](std::int64_t d) { return static_cast<std::size_t>(d); };
    const bool flat = stream.shape.size() < 2;
    if (!vlen && !flat && time_axis.empty())
        throw Error(what + " for one window. Give the elements of one sample as its vlen; or "
                           "time_axis, first or last; or type complex, if 2 are re and im");
    if (vlen && stream.elements % vlen)
        throw Error(what + " for one window, which is not a multiple of its vlen, " + text(vlen) +
                    ": give the elements of one sample");
    if (flat) {
        p.vlen = vlen ? vlen : 1;
        p.samples = stream.elements / p.vlen;
        return p;
    }
    const std::size_t first = dim(stream.shape.front()), last = dim(stream.shape.back());
    p.samples = vlen ? stream.elements / vlen : time_axis == "first" ? first : last;
    p.vlen = stream.elements / p.samples;
    const bool may_first = first == p.samples && time_axis != "last";
    const bool may_last = last == p.samples && time_axis != "first";
    if (!may_first && !may_last)
        throw Error(what + ", in which " + text(p.samples) + " samples of " + text(p.vlen) +
                    " elements are neither the first nor the last dimension" +
                    (time_axis.empty() ? "" : " that time_axis says") +
                    ": give another vlen, or export the model with time first or last");
    if (may_first && may_last)
        throw Error(what + ": its first and its last dimension may be time. Give time_axis, first "
                           "or last");
    p.time_last = may_last;
    return p;
}

Overlap::Overlap(const OverlapOptions& options,
                 const std::vector<OnnxStream>& inputs,
                 const std::vector<OnnxStream>& outputs)
{
    check_choice("overlap", options.mode, {"discard", "add"});
    check_choice("window", options.window, {"hann", "sqrt_hann", "rectangular"});
    check_choice("keep", options.keep, {"centre", "tail"});
    check_choice("time_axis", options.time_axis, {"", "first", "last"});
    const auto vlen = [](const std::vector<std::size_t>& vlens, std::size_t i) {
        return i < vlens.size() ? vlens[i] : 0;
    };
    for (std::size_t i = 0; i < inputs.size(); ++i) {
        d_inputs.push_back(
            make_port(inputs[i], vlen(options.input_vlens, i), "input", options.time_axis));
        if (d_inputs[i].samples != d_inputs[0].samples)
            throw Error("overlap: the graph's input '" + inputs[i].name + "' has " +
                        text(d_inputs[i].samples) + " samples for a window and '" + inputs[0].name +
                        "' has " + text(d_inputs[0].samples) +
                        ". Give those of equal length, and the other a number in constants");
    }
    d_window = d_inputs[0].samples;
    d_hop = options.hop ? options.hop : std::max<std::size_t>(d_window / 2, 1);
    if (d_hop > d_window)
        throw Error("hop is " + text(d_hop) + ", but the graph takes windows of " + text(d_window) +
                    " samples: give 1 to " + text(d_window));
    for (std::size_t j = 0; j < outputs.size(); ++j) {
        d_outputs.push_back(
            make_port(outputs[j], vlen(options.output_vlens, j), "output", options.time_axis));
        Port& p = d_outputs[j];
        const std::string what = "overlap: the graph's output '" + outputs[j].name + "' has " +
                                 text(p.samples) + " samples for a window of " + text(d_window);
        if (p.samples > d_window || d_window % p.samples)
            throw Error(what + ", which is no whole fraction. Give its vlen, the elements of one "
                               "sample; or another output; or overlap none");
        const std::size_t q = d_window / p.samples;
        if (d_hop % q)
            throw Error(what + ", so hop " + text(d_hop) + " must be a multiple of " + text(q));
        p.hop = d_hop / q;
        if (options.mode == "add" && outputs[j].type == StreamType::integer)
            throw Error("overlap is add, but the graph's output '" + outputs[j].name +
                        "' is of integers, which are not to be averaged: use discard");
    }
    if (options.mode == "discard")
        plan_discard(options);
    else
        plan_add(options);
    if (options.mode == "add" && options.window == "sqrt_hann")
        for (std::size_t i = 0; i < inputs.size(); ++i) {
            if (inputs[i].type == StreamType::integer)
                throw Error("window is sqrt_hann, but the graph's input '" + inputs[i].name +
                            "' is of integers, which are not to be weighted: use hann");
            d_inputs[i].weight = make_window(options.window, d_window);
        }
}

void Overlap::plan_discard(const OverlapOptions& options)
{
    for (Port& p : d_outputs) {
        const std::size_t spare = p.samples - p.hop;
        p.first = options.keep == "tail" ? spare : spare / 2;
        p.delay = spare - p.first;
    }
}

void Overlap::plan_add(const OverlapOptions& options)
{
    for (Port& p : d_outputs) {
        p.delay = p.samples - p.hop;
        const std::size_t numbers = p.samples * p.vlen * p.parts();
        p.sum.assign(p.doubles ? 0 : numbers, 0);
        p.wide_sum.assign(p.doubles ? numbers : 0, 0);
        p.weight = make_window(options.window, p.samples);
        // What the input was weighted with counts too. In double: the sum must be constant to 1e-5.
        const bool twice = options.window == "sqrt_hann";
        double least = 1e30, most = 0;
        for (std::size_t n = 0; n < p.hop; ++n) {
            double sum = 0;
            for (std::size_t k = n; k < p.samples; k += p.hop)
                sum += twice ? double(p.weight[k]) * double(p.weight[k]) : double(p.weight[k]);
            least = std::min(least, sum);
            most = std::max(most, sum);
        }
        if (!(most - least <= 1e-5 * most))
            throw Error("hop is " + text(d_hop) + ", but " + options.window + " windows of " +
                        text(d_window) +
                        " samples moved by that do not add up to a constant: give " +
                        "a half, a third or a quarter of the window");
        const double scale = 2 / (least + most);
        for (float& w : p.weight)
            w = static_cast<float>(w * scale);
    }
}

void Overlap::cut(std::size_t input, const void* in, std::size_t count, void* windows) const
{
    const Port& p = d_inputs[input];
    const std::size_t bytes = p.bytes;
    const auto* from = static_cast<const char*>(in);
    auto* to = static_cast<char*>(windows);
    for (std::size_t k = 0; k < count; ++k) {
        if (!p.time_last || p.vlen == 1) {
            std::memcpy(to, from, p.window_bytes());
        } else {
            for (std::size_t t = 0; t < p.samples; ++t)
                for (std::size_t f = 0; f < p.vlen; ++f)
                    std::memcpy(
                        to + (f * p.samples + t) * bytes, from + (t * p.vlen + f) * bytes, bytes);
        }
        if (!p.weight.empty() && p.doubles)
            weigh(p, reinterpret_cast<double*>(to));
        else if (!p.weight.empty())
            weigh(p, reinterpret_cast<float*>(to));
        from += d_hop * p.sample_bytes();
        to += p.window_bytes();
    }
}

template <typename T>
void Overlap::weigh(const Port& p, T* x)
{
    const std::size_t rows = p.time_last ? p.vlen : 1;
    const std::size_t scalars = (p.time_last ? 1 : p.vlen) * p.parts(); // at one time
    for (std::size_t r = 0; r < rows; ++r)
        for (std::size_t t = 0; t < p.samples; ++t)
            for (std::size_t s = 0; s < scalars; ++s)
                *x++ *= p.weight[t];
}

void Overlap::join(std::size_t output, const void* windows, std::size_t count, void* out)
{
    Port& p = d_outputs[output];
    const auto* from = static_cast<const char*>(windows);
    auto* to = static_cast<char*>(out);
    const std::size_t bytes = p.bytes;
    for (std::size_t k = 0; k < count; ++k) {
        if (!p.weight.empty() && p.doubles)
            add(p, p.wide_sum, reinterpret_cast<const double*>(from), to);
        else if (!p.weight.empty())
            add(p, p.sum, reinterpret_cast<const float*>(from), to);
        else if (!p.time_last || p.vlen == 1)
            std::memcpy(to, from + p.first * p.sample_bytes(), p.hop * p.sample_bytes());
        else
            for (std::size_t t = 0; t < p.hop; ++t)
                for (std::size_t f = 0; f < p.vlen; ++f)
                    std::memcpy(to + (t * p.vlen + f) * bytes,
                                from + (f * p.samples + p.first + t) * bytes,
                                bytes);
        from += p.window_bytes();
        to += p.hop * p.sample_bytes();
    }
}

template <typename T>
void Overlap::add(const Port& p, std::vector<T>& sum, const T* x, char* out)
{
    const std::size_t parts = p.parts(), sample = p.vlen * parts;
    for (std::size_t t = 0; t < p.samples; ++t) {
        const float w = p.weight[t];
        if (w == 0)
            continue; // an infinite answer there is no part of the sum
        for (std::size_t f = 0; f < p.vlen; ++f)
            for (std::size_t s = 0; s < parts; ++s)
                sum[t * sample + f * parts + s] +=
                    w * x[(p.time_last ? f * p.samples + t : t * p.vlen + f) * parts + s];
    }
    const std::size_t gone = p.hop * sample;
    std::memcpy(out, sum.data(), gone * sizeof(T));
    std::copy(sum.begin() + static_cast<std::ptrdiff_t>(gone), sum.end(), sum.begin());
    std::fill(sum.end() - static_cast<std::ptrdiff_t>(gone), sum.end(), T(0));
}

void Overlap::reset()
{
    for (Port& p : d_outputs) {
        std::fill(p.sum.begin(), p.sum.end(), 0.0f);
        std::fill(p.wide_sum.begin(), p.wide_sum.end(), 0.0);
    }
}

void Overlap::resume(Overlap& other)
{
    for (std::size_t j = 0; j < d_outputs.size(); j++) {
        d_outputs[j].sum.swap(other.d_outputs[j].sum);
        d_outputs[j].wide_sum.swap(other.d_outputs[j].wide_sum);
    }
}

} // namespace core
} // namespace diffsem
} // namespace gr
