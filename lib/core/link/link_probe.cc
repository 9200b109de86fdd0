/*
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#include <gnuradio/diffsem/core/link/link_probe.h>

#include "base/vector_clones.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <string>
#include <vector>

namespace gr {
namespace diffsem {
namespace core {

namespace {

constexpr std::size_t frames_looked_at =
    6; // at a third of the rate two, one of them whole wherever the stretch begins
constexpr std::uint64_t most_apart = 4000000;
constexpr double false_alarm = 1e-4; // per sample
constexpr double pi = 3.14159265358979323846;
constexpr int zeros = 8;              // of a filter's sinc, on each side
constexpr double doubt = 6;           // standard deviations of a correlation of noise: 1e-15
constexpr int most_correlated = 8192; // samples, the latest
constexpr int apart = 3;              // lags beside the best, which OFDM does not repeat after

std::size_t samples_of(const FrameLayout& layout)
{
    return static_cast<std::size_t>(2 + layout.header_symbols() + layout.frame_symbols) *
           static_cast<std::size_t>(layout.fft_len() + layout.cp_len);
}

// A windowed sinc that passes 1/times of the band: at lag i, 1 in the middle.
float low_pass(int i, int times)
{
    const double x = pi * i / times, window = 0.5 + 0.5 * std::cos(pi * i / (zeros * times + 1));
    return static_cast<float>(window * (i ? std::sin(x) / x : 1.0));
}

// One sample of so many, filtered; gain 1.
std::vector<cfloat> slower(const std::vector<cfloat>& x, int times)
{
    const int reach = zeros * times;
    const auto size = static_cast<int>(x.size());
    std::vector<float> taps;
    for (int i = -reach; i <= reach; i++)
        taps.push_back(low_pass(i, times) / float(times));
    std::vector<cfloat> y;
    for (int t = reach; t + reach < size; t += times) {
        cfloat sum = 0;
        for (int i = -reach; i <= reach; i++)
            sum += taps[std::size_t(i + reach)] * x[std::size_t(t + i)];
        y.push_back(sum);
    }
    return y;
}

// So many samples for one, the others between it and the next.
std::vector<cfloat> faster(const std::vector<cfloat>& x, int times)
{
    const auto size = static_cast<int>(x.size());
    std::vector<cfloat> y;
    for (int t = zeros; t + zeros < size; t++) {
        y.push_back(x[std::size_t(t)]);
        for (int part = 1; part < times; part++) {
            cfloat sum = 0; // at t + part / times
            for (int i = 1 - zeros; i <= zeros; i++)
                sum += low_pass(i * times - part, times) * x[std::size_t(t + i)];
            y.push_back(sum);
        }
    }
    return y;
}

DIFFSEM_VECTOR_CLONES void
correlate_at(const float* re, const float* im, int lag, int count, double& a, double& b)
{
    constexpr int run = 256; // in single precision, several sums side by side
    constexpr int lanes = 8;
    for (int first = 0; first + run <= count; first += run) {
        float sa[lanes] = {}, sb[lanes] = {};
        for (int t = first; t < first + run; t += lanes)
            for (int i = 0; i < lanes; i++) {
                const float x = re[t + i], y = im[t + i], u = re[t + i + lag], v = im[t + i + lag];
                sa[i] += x * u + y * v;
                sb[i] += x * v - y * u;
            }
        for (int i = 0; i < lanes; i++) {
            a += double(sa[i]);
            b += double(sb[i]);
        }
    }
}

} // namespace

LinkProbe::LinkProbe(const FrameLayout& layout, float max_offset, FrameFinder::Dft dft)
    : d_layout(layout),
      d_max_offset(max_offset),
      d_dft(std::move(dft)),
      d_stretch(frames_looked_at * samples_of(layout)),
      d_next(d_stretch)
{
}

void LinkProbe::take(const cfloat* samples, std::size_t n, std::uint64_t frames)
{
    if (frames != d_frames) {
        d_frames = frames;
        d_silent = 0;
        d_next = d_stretch;
        d_samples.clear();
        d_hint.clear();
        return;
    }
    d_silent += n;
    if (d_silent + d_stretch < d_next)
        return;
    for (std::size_t i = 0; i < n && d_samples.size() < d_stretch; i++) {
        const bool sane = std::norm(samples[i]) < 1e30f;
        d_samples.push_back(sane ? samples[i] : cfloat(0, 0));
    }
    if (d_samples.size() < d_stretch)
        return;
    if (const auto found = look(); !found.empty())
        d_hint = found;
    d_samples.clear();
    d_next = d_silent + std::min<std::uint64_t>(most_apart, 3 * d_silent);
}

void LinkProbe::end()
{
    if (!d_samples.empty() && d_hint.empty())
        d_hint = look();
    d_samples.clear();
}

bool LinkProbe::finds(const FrameLayout& layout, const std::vector<cfloat>& samples) const
{
    FrameFinder finder(
        layout,
        PreambleCorrelator(layout.word1, layout.word2, layout.cp_len, d_max_offset, false_alarm),
        d_dft);
    for (std::size_t at = 0; at < samples.size();) {
        at += static_cast<std::size_t>(
            finder.take(&samples[at], static_cast<int>(samples.size() - at)));
        if (finder.next())
            return true;
    }
    return false;
}

// The lag after which samples repeat most, as a prefix makes them do, of those for a quarter to four times the rate; 0
// where none does. A carrier repeats after all.
int LinkProbe::repeats_after() const
{
    const int n = d_layout.fft_len(), first = n / 4, last = 4 * n;
    std::vector<float> re, im;
    double power = 0;
    for (const auto& v : d_samples) {
        re.push_back(v.real());
        im.push_back(v.imag());
    }
    const int count = std::min(most_correlated, static_cast<int>(re.size()) - last);
    if (count < 1)
        return 0;
    const auto begin = static_cast<std::ptrdiff_t>(re.size()) - last - count;
    for (auto i = static_cast<std::size_t>(begin); i < re.size(); i++)
        power += double(re[i]) * re[i] + double(im[i]) * im[i];
    if (!(power > 0))
        return 0;
    std::vector<double> size(static_cast<std::size_t>(last) + 1, 0);
    for (int lag = first; lag <= last; lag++) {
        double a = 0, b = 0;
        correlate_at(re.data() + begin, im.data() + begin, lag, count, a, b);
        size[static_cast<std::size_t>(lag)] = std::hypot(a, b) / power;
    }
    const auto best = static_cast<int>(std::max_element(size.begin(), size.end()) - size.begin());
    const double most = size[static_cast<std::size_t>(best)];
    for (int aside : {-apart, apart})
        if (best + aside >= first && best + aside <= last &&
            size[static_cast<std::size_t>(best + aside)] > 0.5 * most)
            return 0;
    return most > doubt / std::sqrt(double(count)) ? best : 0;
}

// Of symbols that repeat after the layout's length, how long the prefix is: what repeats does so once a symbol, at one
// phase, so the product of sample and repetition looks most like itself a symbol later.
int LinkProbe::prefix() const
{
    const auto n = static_cast<std::size_t>(d_layout.fft_len());
    std::vector<float> re, im;
    for (std::size_t t = 0; t + n < d_samples.size(); t++) {
        const cfloat product = d_samples[t] * std::conj(d_samples[t + n]);
        re.push_back(product.real());
        im.push_back(product.imag());
    }
    const int count = static_cast<int>(re.size()) - static_cast<int>(2 * n);
    int best = 0;
    double most = 0;
    for (int longer = 1; longer <= static_cast<int>(n) && count > 0; longer++) {
        double a = 0, b = 0;
        correlate_at(re.data(), im.data(), static_cast<int>(n) + longer, count, a, b);
        if (a > most) {
            most = a;
            best = longer;
        }
    }
    return best;
}

std::string LinkProbe::look() const
{
    const int after = repeats_after(), n = d_layout.fft_len();
    if (!after)
        return "";
    auto mirrored = d_samples;
    for (auto& v : mirrored)
        v = std::conj(v);
    if (finds(d_layout, mirrored))
        return "the sender's spectrum comes mirrored: I and Q are swapped at one end; swap them "
               "back";
    const char* const slow[] = {"half", "a third"};
    const char* const fast[] = {"twice", "three times"};
    for (const int times : {2, 3}) {
        const std::string remedy = ": set the same rate at both ends";
        if (finds(d_layout, slower(d_samples, times)))
            return std::string("the sender's rate is ") + slow[times - 2] + " of this receiver's" +
                   remedy;
        if (finds(d_layout, faster(d_samples, times)))
            return std::string("the sender's rate is ") + fast[times - 2] + " this receiver's" +
                   remedy;
    }
    if (std::abs(after - n) <= 1) {
        const int about = (prefix() + 2) / 4 * 4; // as all prefixes of the correlator
        auto other = d_layout;
        for (const int longer : {0, -4, 4}) {
            other.cp_len = std::clamp(about + longer, 4, n);
            if (other.cp_len != d_layout.cp_len && finds(other, d_samples))
                return "the sender's cyclic prefix is " + std::to_string(other.cp_len) +
                       " samples, this receiver's " + std::to_string(d_layout.cp_len) +
                       ": set the same cp_len at both ends";
        }
    }
    if (std::abs(after - n) > 1) {
        char ratio[16];
        std::snprintf(ratio, sizeof ratio, "%.3g", double(n) / after);
        return "what comes repeats after " + std::to_string(after) + " samples, as symbols of " +
               std::to_string(n) + " do at " + ratio +
               " times this receiver's rate: set the same rate at both ends";
    }
    return "";
}

} // namespace core
} // namespace diffsem
} // namespace gr
