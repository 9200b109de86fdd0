/*
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#include <gnuradio/diffsem/core/link/link_probe.h>

#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

namespace gr {
namespace diffsem {
namespace core {

namespace {

constexpr std::size_t frames_looked_at =
    4; // at half the rate two, one of them whole wherever the stretch begins
constexpr std::uint64_t most_apart = 4000000;
constexpr double false_alarm = 1e-4; // per sample
constexpr double pi = 3.14159265358979323846;
constexpr int half_taps = 16; // of a filter for half the band
constexpr double doubt = 4;   // standard deviations of a correlation of noise: 1e-7

std::size_t samples_of(const FrameLayout& layout)
{
    return static_cast<std::size_t>(2 + layout.header_symbols() + layout.frame_symbols) *
           static_cast<std::size_t>(layout.fft_len() + layout.cp_len);
}

// A windowed sinc that passes half the band: at lag i.
float half_band(int i)
{
    const double x = 0.5 * pi * i, window = 0.5 + 0.5 * std::cos(pi * i / (half_taps + 1));
    return static_cast<float>(window * (i ? std::sin(x) / x : 1.0));
}

// Every other sample, filtered; gain 1.
std::vector<cfloat> slower(const std::vector<cfloat>& x)
{
    std::vector<cfloat> y;
    for (std::size_t t = half_taps; t + half_taps < x.size(); t += 2) {
        cfloat sum = 0;
        for (int i = 0; i <= 2 * half_taps; i++)
            sum += 0.5f * half_band(i - half_taps) * x[t - half_taps + static_cast<std::size_t>(i)];
        y.push_back(sum);
    }
    return y;
}

// A sample between each two.
std::vector<cfloat> faster(const std::vector<cfloat>& x)
{
    constexpr std::size_t reach = half_taps / 2;
    std::vector<cfloat> y;
    for (std::size_t t = reach; t + reach < x.size(); t++) {
        y.push_back(x[t]);
        cfloat sum = 0; // at t + 1/2: lags of odd halves
        for (int i = -half_taps + 1; i < half_taps; i += 2)
            sum += half_band(i) * x[t + reach - static_cast<std::size_t>((i - 1) / 2 + int(reach))];
        y.push_back(sum);
    }
    return y;
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
    if (d_silent < d_next)
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
    d_next = d_silent + std::min<std::uint64_t>(most_apart, 2 * d_silent);
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

// Whether the samples repeat after the useful part of a symbol, at one of the rates, as a prefix makes them do: noise
// does not, and need not be searched.
bool LinkProbe::repeats() const
{
    const auto n = static_cast<std::size_t>(d_layout.fft_len());
    double power = 0;
    for (const auto& v : d_samples)
        power += std::norm(v);
    for (const std::size_t lag : {n / 2, n, 2 * n}) {
        double re = 0, im = 0;
        for (std::size_t t = 0; t + lag < d_samples.size(); t++) {
            const cfloat a = d_samples[t], b = d_samples[t + lag];
            re += a.real() * b.real() + a.imag() * b.imag();
            im += a.real() * b.imag() - a.imag() * b.real();
        }
        if (std::hypot(re, im) > doubt * power / std::sqrt(double(d_samples.size())))
            return true;
    }
    return false;
}

std::string LinkProbe::look() const
{
    if (!repeats())
        return "";
    auto mirrored = d_samples;
    for (auto& v : mirrored)
        v = std::conj(v);
    if (finds(d_layout, mirrored))
        return "the sender's spectrum comes mirrored: I and Q are swapped at one end; swap them "
               "back";
    if (finds(d_layout, slower(d_samples)))
        return "the sender's rate is half of this receiver's: set the same rate at both ends";
    if (finds(d_layout, faster(d_samples)))
        return "the sender's rate is twice this receiver's: set the same rate at both ends";
    const int n = d_layout.fft_len();
    for (const int sixteenths : {1, 2, 3, 4, 6, 8, 16}) {
        auto other = d_layout;
        other.cp_len = sixteenths * n / 16;
        if (other.cp_len != d_layout.cp_len && finds(other, d_samples))
            return "the sender's cyclic prefix is " + std::to_string(other.cp_len) +
                   " samples, this receiver's " + std::to_string(d_layout.cp_len) +
                   ": set the same cp_len at both ends";
    }
    return "";
}

} // namespace core
} // namespace diffsem
} // namespace gr
