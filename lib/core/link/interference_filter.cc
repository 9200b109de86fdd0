/*
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#include <gnuradio/diffsem/core/link/interference_filter.h>

#include "link/gamma.h"

#include <Eigen/Core>
#include <unsupported/Eigen/FFT>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <vector>

namespace gr {
namespace diffsem {
namespace core {

namespace {

constexpr double pi = 3.14159265358979323846;
constexpr int per_carrier = 8;     // values of the spectrum
constexpr int averaged = 8;        // blocks, about
constexpr int every = 4;           // blocks, of which one is looked at
constexpr int held = 8;            // looks that interference is remembered for
constexpr double rare = 1e-8;      // probability that a value of noise passes for a line
constexpr double ring_doubt = 1.3; // how far the mean of a ring may lie below the truth
// Times the ring. Pilots that are always the same stand out by 5; and what is weaker costs little more than its notch.
constexpr double least_line = 12;
constexpr double least_of_band =
    5; // times the band's median: between the zeros of a channel is no line
// Of the band's mean. Beside a bare carrier without noise (a file, 8 bits) the band holds rounding alone: lines of it are none.
constexpr float least_median = 1e-6f;
constexpr int ring_near = 4, ring_far = 20; // values away from the line, on each side
constexpr double strong = 10;       // times the median of the band: a selective channel stays below
constexpr double most_strong = 0.4; // of the band; more of it, and it may be the signal
constexpr double most_outside = 2.5; // times the band's median
constexpr double least_removed =
    0.05;                          // of a block's power: the notch itself takes 0.02 of a signal
constexpr std::size_t stretch = 8; // samples that come filtered or as they were
constexpr double strongly = 4, ringing = 1.2; // times what is left
constexpr int wide_notch = 3;                 // values on each side of one
constexpr double margin = 1;                  // carriers between the signal and what may be cut

} // namespace

struct InterferenceFilter::Transforms {
    Eigen::FFT<float> fft;
};

InterferenceFilter::InterferenceFilter(const std::vector<int>& used, int fft_len, float max_offset)
    : d_size(static_cast<std::size_t>(per_carrier) * fft_len),
      d_inside(d_size, false),
      d_outside(d_size, true),
      d_transforms(std::make_unique<Transforms>()),
      d_power(d_size, 0.0f),
      d_sum(3 * d_size + 1, 0.0),
      d_hold(d_size, 0),
      d_cut(d_size, false)
{
    for (std::size_t i = 0; i < d_size; i++)
        d_hann.push_back(static_cast<float>(0.5 - 0.5 * std::cos(2 * pi * (i + 0.5) / d_size)));
    const auto around = [&](int carrier, double reach, std::vector<bool>& where, bool value) {
        const int centre = per_carrier * (carrier - fft_len / 2), n = static_cast<int>(d_size);
        const int far = static_cast<int>(std::ceil(per_carrier * reach));
        for (int i = centre - far; i <= centre + far; i++)
            where[static_cast<std::size_t>(((i % n) + n) % n)] = value;
    };
    for (int k : used) {
        around(k, 0.5, d_inside, true);
        around(k, max_offset + margin, d_outside, false);
    }
    const int span = used.empty() ? 1 : used.back() - used.front() + 1;
    d_dense = used.size() >= 0.9 * span;
}

InterferenceFilter::~InterferenceFilter() = default;

InterferenceFilter::Found InterferenceFilter::found() const
{
    Found out;
    out.neighbour = d_hold_outside > 0;
    for (std::size_t k = 0; k < d_size; k++)
        if (d_hold[k] > 0) {
            const std::size_t from_dc = std::min(k, d_size - k);
            (from_dc <= wide_notch ? out.dc : out.tone) = true;
        }
    return out;
}

// Adds a block to the average, by its own power: where a frame begins behind silence, one block would outweigh all.
void InterferenceFilter::look(const cfloat* block)
{
    d_block.resize(d_size);
    for (std::size_t i = 0; i < d_size; i++)
        d_block[i] = d_hann[i] * block[i];
    d_transforms->fft.fwd(d_spectrum, d_block);
    d_blocks = std::min(d_blocks + 1, averaged);
    double power = 0;
    for (std::size_t k = 0; k < d_size; k++)
        power += d_outside[k] ? 0.0f : std::norm(d_spectrum[k]);
    const float scale = power > 0 ? static_cast<float>(d_size / power) : 0.0f;
    const float share = 1.0f / d_blocks;
    for (std::size_t k = 0; k < d_size; k++)
        d_power[k] += share * (scale * std::norm(d_spectrum[k]) - d_power[k]);
    mark();
}

// Whether a value stands out of the rings on both of its sides: a step of the spectrum, at the band's edge, does not.
bool InterferenceFilter::narrow(std::size_t bin, double threshold) const
{
    const std::size_t k = bin + d_size;
    constexpr double n = ring_far - ring_near + 1;
    const double left = d_sum[k - ring_near + 1] - d_sum[k - ring_far];
    const double right = d_sum[k + ring_far + 1] - d_sum[k + ring_near];
    return d_power[bin] > threshold * std::max(left, right) / n;
}

void InterferenceFilter::mark()
{
    std::vector<float> band, outside;
    for (std::size_t k = 0; k < d_size; k++) {
        if (d_inside[k])
            band.push_back(d_power[k]);
        if (d_outside[k])
            outside.push_back(d_power[k]);
    }
    for (std::size_t k = 0; k < 3 * d_size; k++)
        d_sum[k + 1] = d_sum[k] + d_power[k % d_size];
    const auto middle = band.begin() + static_cast<std::ptrdiff_t>(band.size() / 2);
    std::nth_element(band.begin(), middle, band.end());
    const float median = std::max(*middle, least_median);
    const double line =
        std::max(least_line, ring_doubt * gamma_threshold(d_blocks, rare) / d_blocks);

    const auto above = std::count_if(
        band.begin(), band.end(), [&](float p) { return p > strong * double(median); });
    const bool parts = d_dense && above < most_strong * band.size() && d_blocks == averaged;
    const bool loud = !outside.empty() && median > 0 &&
                      std::accumulate(outside.begin(), outside.end(), 0.0) >
                          most_outside * outside.size() * double(median);
    const auto again = [](int& hold, bool seen) { hold = seen ? held : std::max(0, hold - 1); };
    again(d_hold_outside, loud);
    for (std::size_t k = 0; k < d_size; k++)
        again(d_hold[k],
              d_dense && !d_outside[k] && d_power[k] > least_of_band * median &&
                  (narrow(k, line) || (parts && d_power[k] > strong * median)));

    std::vector<bool> cut(d_size, false);
    for (std::size_t k = 0; k < d_size; k++) {
        if (d_hold_outside > 0 && d_outside[k])
            cut[k] = true;
        if (d_hold[k] > 0)
            for (std::size_t i = k + d_size - wide_notch; i <= k + d_size + wide_notch; i++)
                cut[i % d_size] = true;
    }
    if (cut != d_cut) {
        d_cut.swap(cut);
        design();
    }
}

// The wanted response's impulse response, cut to half a block and smoothed, so that one transform of two blocks filters
// a whole one.
void InterferenceFilter::design()
{
    d_response.clear();
    if (std::find(d_cut.begin(), d_cut.end(), true) == d_cut.end())
        return;
    std::vector<cfloat> wanted(d_size), impulse, wide(2 * d_size);
    for (std::size_t k = 0; k < d_size; k++)
        wanted[k] = d_cut[k] ? 0.0f : 1.0f;
    d_transforms->fft.inv(impulse, wanted);
    const int reach = static_cast<int>(d_size / 4);
    for (int t = -reach; t <= reach; t++) {
        const double window = 0.5 + 0.5 * std::cos(pi * t / (reach + 1));
        wide[(t + 2 * d_size) % (2 * d_size)] =
            static_cast<float>(window) * impulse[(t + d_size) % d_size];
    }
    d_transforms->fft.fwd(d_response, wide);
}

// One block, which begins at d_done, with a quarter of one on each side of it.
void InterferenceFilter::filter(std::vector<cfloat>& out)
{
    const std::size_t reach = d_size / 4;
    d_wide.assign(2 * d_size, cfloat(0, 0));
    for (std::size_t i = 0; i < d_size + 2 * reach; i++) {
        const std::uint64_t at = d_done + i; // minus reach
        if (at >= reach + d_first)
            d_wide[i] = d_past[static_cast<std::size_t>(at - reach - d_first)];
    }
    d_transforms->fft.fwd(d_spectrum, d_wide);
    for (std::size_t k = 0; k < 2 * d_size; k++)
        d_spectrum[k] *= d_response[k];
    d_transforms->fft.inv(d_result, d_spectrum);
    const cfloat* raw = &d_past[static_cast<std::size_t>(d_done - d_first)];
    const cfloat* filtered = &d_result[reach];
    const auto power = [](const cfloat* x, std::size_t n) {
        double sum = 0;
        for (std::size_t i = 0; i < n; i++)
            sum += std::norm(x[i]);
        return sum;
    };
    const double all = power(raw, d_size), left = power(filtered, d_size);
    const double removed = std::max(0.0, all - left), lately = std::max(removed, d_removed);
    d_removed = removed;
    // What was taken out is hardly there any more: rather the signal whole.
    const bool gone = removed < least_removed * all;
    for (std::size_t at = 0; at < d_size; at += stretch) {
        // And where strong interference ends within a block, the filter still rings.
        const bool rings = lately > strongly * left &&
                           power(raw + at, stretch) < ringing * power(filtered + at, stretch);
        const cfloat* better = (gone || rings ? raw : filtered) + at;
        out.insert(out.end(), better, better + stretch);
    }
}

void InterferenceFilter::run(const cfloat* samples, std::size_t n, std::vector<cfloat>& out)
{
    d_past.insert(d_past.end(), samples, samples + n);
    const std::uint64_t end = d_first + d_past.size();
    for (;;) {
        // The first block goes by what it is itself, the others by those before them.
        if (d_looked == 0 ? end >= d_size : d_looked + d_size == d_done) {
            // one of some is enough once the average stands
            if (d_blocks < averaged || d_looked / d_size % every == 0)
                look(&d_past[static_cast<std::size_t>(d_looked - d_first)]);
            d_looked += d_size;
            continue;
        }
        if (d_looked == 0)
            break;
        const std::uint64_t border = (d_done / d_size + 1) * d_size;
        if (d_response.empty()) {
            const std::uint64_t to = std::min(border, end);
            if (to == d_done)
                break;
            const auto begin = d_past.begin() + static_cast<std::ptrdiff_t>(d_done - d_first);
            out.insert(out.end(), begin, begin + static_cast<std::ptrdiff_t>(to - d_done));
            d_done = to;
        } else {
            if (end < border + d_size / 4)
                break;
            filter(out);
            d_done = border;
        }
    }
    const std::uint64_t keep =
        std::min(d_looked, std::max<std::uint64_t>(d_done, d_size / 4) - d_size / 4);
    if (keep > d_first + 16 * d_size) {
        d_past.erase(d_past.begin(), d_past.begin() + static_cast<std::ptrdiff_t>(keep - d_first));
        d_first = keep;
    }
}

} // namespace core
} // namespace diffsem
} // namespace gr
