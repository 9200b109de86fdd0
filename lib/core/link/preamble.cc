/*
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#include <gnuradio/diffsem/core/link/preamble.h>

#include "base/vector_clones.h"
#include "link/gamma.h"

#include <algorithm>
#include <cmath>
#include <vector>

namespace gr {
namespace diffsem {
namespace core {

namespace {

constexpr double pi = 3.14159265358979323846;
constexpr double impulse = 1e6; // times the energy of all the others
constexpr int chunk = 1024;     // positions at once: scratch stays in the cache
constexpr double grid_step = 0.25;
constexpr int group = 4;    // delays
constexpr int stretch = 64; // positions that are turned at once: they stay in the nearest cache
constexpr double independent_offsets = 0.6; // of the grid's, as far as the tail goes

} // namespace

PreambleCorrelator::PreambleCorrelator(const std::vector<cfloat>& word1,
                                       const std::vector<cfloat>& word2,
                                       int cp_len,
                                       float max_offset,
                                       double false_alarm)
    : d_fft_len(static_cast<int>(word1.size())),
      d_cp(cp_len),
      d_max_offset(max_offset)
{
    if (word1.empty() || word1.size() % 8 || word2.size() != word1.size())
        throw Error("sync_words have " + std::to_string(word1.size()) + " and " +
                    std::to_string(word2.size()) +
                    " values: give two of the FFT length, a multiple of 8");
    if (cp_len < 1 || cp_len > d_fft_len || 2 * (d_fft_len + cp_len) % (d_fft_len / 8))
        throw Error("cp_len is " + std::to_string(cp_len) + ": give 1 to the FFT length (" +
                    std::to_string(d_fft_len) + "), a multiple of " +
                    std::to_string(d_fft_len / 16));
    if (!(max_offset >= 0) || max_offset > 3)
        throw Error("max_offset is " + std::to_string(max_offset) +
                    ": give 0 to 3 carrier spacings");
    if (!(false_alarm > 1e-12) || false_alarm > 0.1)
        throw Error("false_alarm is " + std::to_string(false_alarm) +
                    ": give a probability per sample between 1e-12 and 0.1");

    double power = 0;
    for (const auto* word : {&word1, &word2})
        for (int t = -cp_len; t < d_fft_len; t++) {
            std::complex<double> sum = 0;
            for (int k = 0; k < d_fft_len; k++)
                sum += std::complex<double>((*word)[k]) *
                       std::polar(1.0, 2 * pi * (k - d_fft_len / 2) * t / d_fft_len);
            d_template.push_back(cfloat(sum));
            power += std::norm(sum);
        }
    if (!(power > 0))
        throw Error("sync_words are zero on all carriers: nothing can be found with them");
    for (auto& v : d_template)
        v *= static_cast<float>(std::sqrt(d_template.size() / power));

    d_segment = d_fft_len / 8;
    d_segments = static_cast<int>(d_template.size()) / d_segment;
    const int steps = static_cast<int>(std::ceil(max_offset / grid_step));
    for (int i = -steps; i <= steps; i++)
        d_offset.push_back(i * grid_step);
    for (int i = 0; i < points; i++)
        d_turn[i] = cfloat(std::polar(1.0, -2 * pi * i / points));
    for (int s = 0; s < d_segments; s++) {
        const auto segment = [&](int i) { return d_template.begin() + i * d_segment; };
        int first = 0; // a prefix is a copy, from the same sums
        while (!std::equal(segment(first), segment(first + 1), segment(s)))
            first++;
        d_same.push_back(first);
    }

    // The first path should come a little behind the window's start, and late paths are weak.
    double sum = 0, squares = 0;
    for (int d = 0; d <= cp_len; d++) {
        const double at = 16.0 * d / cp_len;
        const double w = at < 4 ? 0.5 + 0.125 * at : 1 - 0.5 * (at - 4) / 12;
        d_weight.push_back(static_cast<float>(w));
        sum += w;
        squares += w * w;
    }
    for (int d = 0; d <= cp_len; d += group)
        d_bound.push_back(*std::max_element(d_weight.begin() + d,
                                            d_weight.begin() + std::min(d + group, cp_len + 1)));
    // On noise each |c|^2 is exponential; neighbouring delays and offsets are nearly independent.
    d_scale = squares / sum;
    d_shape = sum / d_scale;
    const double tail = false_alarm / (independent_offsets * d_offset.size());
    d_threshold = static_cast<float>(d_scale * gamma_threshold(d_shape, tail));
}

double PreambleCorrelator::false_alarm(float score) const
{
    return independent_offsets * d_offset.size() * gamma_tail(d_shape, score / d_scale);
}

// Sums of each segment at n positions; those that others copy, at their positions too.
DIFFSEM_VECTOR_CLONES void PreambleCorrelator::correlate(const cfloat* samples, int n)
{
    const int length = n + static_cast<int>(d_template.size());
    d_re.resize(length);
    d_im.resize(length);
    for (int i = 0; i < length - 1; i++) {
        d_re[i] = samples[i].real();
        d_im[i] = samples[i].imag();
    }
    std::vector<int> further(d_segments, 0);
    for (int s = 0; s < d_segments; s++)
        further[d_same[s]] = (s - d_same[s]) * d_segment;
    d_row = static_cast<std::size_t>(n) + *std::max_element(further.begin(), further.end());
    d_seg_re.assign(d_row * d_segments, 0.0f);
    d_seg_im.assign(d_row * d_segments, 0.0f);
    for (int s = 0; s < d_segments; s++) {
        if (d_same[s] != s)
            continue;
        float* re = &d_seg_re[d_row * s];
        float* im = &d_seg_im[d_row * s];
        const int count = n + further[s];
        for (int i = s * d_segment; i < (s + 1) * d_segment; i++) {
            const float a = d_template[i].real(), b = d_template[i].imag();
            const float* x = &d_re[i];
            const float* y = &d_im[i];
            for (int t = 0; t < count; t++) {
                re[t] += a * x[t] + b * y[t];
                im[t] += a * y[t] - b * x[t];
            }
        }
    }
}

namespace {

// Values at `stretch` positions, real and imaginary parts.
struct Row {
    float re[stretch], im[stretch];
};

// out = a + w b; out may be a
inline void turned_sum(Row& out, const Row& a, cfloat w, const Row& __restrict b)
{
    const float re = w.real(), im = w.imag();
    for (int t = 0; t < stretch; t++) {
        out.re[t] = a.re[t] + re * b.re[t] - im * b.im[t];
        out.im[t] = a.im[t] + re * b.im[t] + im * b.re[t];
    }
}

inline void add_scaled(float* __restrict out, float w, const float* __restrict in, int n)
{
    for (int t = 0; t < n; t++)
        out[t] += w * in[t];
}

} // namespace

// |c_f|^2 of each offset at n positions, from the segments' sums x: c_i = sum over s of x[s] W32^(i s). Segments that
// lie 8 apart, and then 4, are added first, with turns that only depend on i modulo 4, and then 8.
DIFFSEM_VECTOR_CLONES void PreambleCorrelator::powers(int n)
{
    static const Row zero{};
    const auto turn = [this](int i) { return d_turn[((i % points) + points) % points]; };
    std::vector<Row> x(points), fold4(4 * 8), fold8(8 * 4);
    const int offsets = static_cast<int>(d_offset.size()), lowest = -(offsets - 1) / 2;
    const std::size_t wide = static_cast<std::size_t>((n + stretch - 1) / stretch * stretch);
    d_power.resize(wide * offsets);
    for (int first = 0; first < n; first += stretch) {
        const int count = std::min(stretch, n - first);
        for (int s = 0; s < d_segments; s++) {
            const std::size_t from = d_row * d_same[s] + (s - d_same[s]) * d_segment + first;
            std::copy_n(&d_seg_re[from], count, x[s].re);
            std::copy_n(&d_seg_im[from], count, x[s].im);
        }
        for (int s = 0; s < 8; s++) {
            const Row &a = x[s], &b = x[s + 8], &c = s + 16 < d_segments ? x[s + 16] : zero,
                      &d = s + 24 < d_segments ? x[s + 24] : zero;
            for (int t = 0; t < stretch; t++) {
                const float ur = a.re[t] + c.re[t], ui = a.im[t] + c.im[t];
                const float vr = b.re[t] + d.re[t], vi = b.im[t] + d.im[t];
                const float wr = a.re[t] - c.re[t], wi = a.im[t] - c.im[t];
                const float zr = b.re[t] - d.re[t], zi = b.im[t] - d.im[t];
                fold4[s].re[t] = ur + vr;
                fold4[s].im[t] = ui + vi;
                fold4[8 + s].re[t] = wr + zi; // w - j z
                fold4[8 + s].im[t] = wi - zr;
                fold4[16 + s].re[t] = ur - vr;
                fold4[16 + s].im[t] = ui - vi;
                fold4[24 + s].re[t] = wr - zi;
                fold4[24 + s].im[t] = wi + zr;
            }
        }
        for (int m = 0; m < 8; m++)
            for (int s = 0; s < 4; s++) {
                const Row* fold = &fold4[8 * (m % 4) + s];
                turned_sum(fold8[4 * m + s], fold[0], turn(4 * m), fold[4]);
            }
        for (int f = 0; f < offsets; f++) {
            const int i = lowest + f, m = (i + points) % 8;
            const Row* x4 = &fold8[4 * m];
            const cfloat a = turn(i), b = turn(2 * i), c = turn(3 * i);
            float* __restrict power = &d_power[wide * f + first];
            for (int t = 0; t < stretch; t++) {
                const float re = x4[0].re[t] + a.real() * x4[1].re[t] - a.imag() * x4[1].im[t] +
                                 b.real() * x4[2].re[t] - b.imag() * x4[2].im[t] +
                                 c.real() * x4[3].re[t] - c.imag() * x4[3].im[t];
                const float im = x4[0].im[t] + a.real() * x4[1].im[t] + a.imag() * x4[1].re[t] +
                                 b.real() * x4[2].im[t] + b.imag() * x4[2].re[t] +
                                 c.real() * x4[3].im[t] + c.imag() * x4[3].re[t];
                power[t] = re * re + im * im;
            }
        }
    }
    d_row = wide;
}

DIFFSEM_VECTOR_CLONES void
PreambleCorrelator::weigh(const cfloat* samples, int n, float* score, std::uint8_t* grid)
{
    // received energy over the samples that a score sees
    const int length = static_cast<int>(d_template.size()), window = length + d_cp;
    d_level.resize(n);
    double energy = 0;
    for (int i = 0; i < window - 1; i++)
        energy += std::norm(samples[i]);
    for (int t = 0; t < n; t++) {
        energy += std::norm(samples[t + window - 1]);
        d_level[t] = static_cast<float>(length * energy / window);
        const double gone = std::norm(samples[t]);
        energy = std::max(0.0, energy - gone);
        if (gone > impulse * energy) { // took the digits of all others with it
            energy = 0;
            for (int i = 1; i < window; i++)
                energy += std::norm(samples[t + i]);
        }
    }

    // What no score can exceed: each group of delays with its largest weight.
    const int offsets = static_cast<int>(d_offset.size()), wide = n + d_cp;
    d_pairs.resize(wide);
    d_fours.resize(wide);
    d_sum.resize(n);
    d_best.assign(n, 0.0f);
    for (int f = 0; f < offsets; f++) {
        const float* power = &d_power[d_row * f];
        for (int t = 0; t < wide - 1; t++)
            d_pairs[t] = power[t] + power[t + 1];
        for (int t = 0; t < wide - 3; t++)
            d_fours[t] = d_pairs[t] + d_pairs[t + 2];
        std::fill(d_sum.begin(), d_sum.end(), 0.0f);
        for (int d = 0; d <= d_cp; d += group) {
            // the last groups have fewer delays
            const int left = d_cp + 1 - d;
            const float w = d_bound[d / group];
            if (left >= group)
                add_scaled(d_sum.data(), w, &d_fours[d], n);
            else
                for (int i = d; i <= d_cp; i++)
                    add_scaled(d_sum.data(), w, power + i, n);
        }
        for (int t = 0; t < n; t++)
            d_best[t] = std::max(d_best[t], d_sum[t]);
    }

    for (int t = 0; t < n; t++) {
        score[t] = 0;
        grid[t] = 0;
        // less by what rounding may have added
        if (!(d_best[t] > 0.999f * d_threshold * d_level[t]) || !(d_level[t] > 1e-30f))
            continue;
        for (int f = 0; f < offsets; f++) {
            const float* power = &d_power[d_row * f + t];
            float sum = 0;
            for (int d = 0; d <= d_cp; d++)
                sum += d_weight[d] * power[d];
            if (sum > score[t]) {
                score[t] = sum;
                grid[t] = static_cast<std::uint8_t>(f);
            }
        }
        score[t] /= d_level[t];
    }
}

void PreambleCorrelator::scores(const cfloat* samples, int n, float* score, std::uint8_t* grid)
{
    for (int first = 0; first < n; first += chunk) {
        const int count = std::min(chunk, n - first);
        correlate(samples + first, count + d_cp);
        powers(count + d_cp);
        weigh(samples + first, count, score + first, grid + first);
    }
}

double PreambleCorrelator::refine(const cfloat* samples, int grid) const
{
    using cdouble = std::complex<double>;
    // without the checks for infinities that the operator has
    const auto add = [](cdouble& sum, cdouble a, cdouble b) {
        sum += cdouble(a.real() * b.real() - a.imag() * b.imag(),
                       a.real() * b.imag() + a.imag() * b.real());
    };
    std::vector<cdouble> seg(static_cast<std::size_t>(d_segments) * (d_cp + 1));
    for (int d = 0; d <= d_cp; d++)
        for (int s = 0; s < d_segments; s++)
            for (int i = s * d_segment; i < (s + 1) * d_segment; i++)
                add(seg[d * d_segments + s], std::conj(d_template[i]), samples[i + d]);
    std::vector<cdouble> turns(d_segments);
    const auto power = [&](double f) {
        const cdouble step = std::polar(1.0, -2 * pi * f * d_segment / d_fft_len);
        turns[0] = 1;
        for (int s = 1; s < d_segments; s++) {
            turns[s] = 0;
            add(turns[s], turns[s - 1], step);
        }
        double sum = 0;
        for (int d = 0; d <= d_cp; d++) {
            cdouble c = 0;
            for (int s = 0; s < d_segments; s++)
                add(c, seg[d * d_segments + s], turns[s]);
            sum += d_weight[d] * std::norm(c);
        }
        return sum;
    };
    double centre = d_offset.at(grid), here = power(centre);
    for (double step = grid_step / 2; step > 1e-4; step /= 2) { // the maximum is alone within a bin
        const double below = power(centre - step), above = power(centre + step);
        if (below > here || above > here) {
            centre += below > above ? -step : step;
            here = std::max(below, above);
        }
    }
    return centre;
}

} // namespace core
} // namespace diffsem
} // namespace gr
