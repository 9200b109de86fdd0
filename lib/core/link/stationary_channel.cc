/*
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#include <gnuradio/diffsem/core/link/stationary_channel.h>

#include "base/vector_clones.h"

#include <Eigen/Cholesky>

#include <algorithm>
#include <cmath>
#include <complex>

namespace gr {
namespace diffsem {
namespace core {

namespace {

using complex = std::complex<double>;

constexpr double two_pi = 6.283185307179586;
constexpr double first_doppler = 0.02; // cycles a symbol, until it is measured
constexpr double first_noise = 0.05;   // over the channel's power
constexpr std::size_t every = 4;       // symbols from one of these to the next
constexpr std::size_t renewed = 16;    // symbols after which filters are made anew

// out[m] += w * x[m], complex.
DIFFSEM_VECTOR_CLONES
void add_scaled(const float* re,
                const float* im,
                float w_re,
                float w_im,
                std::size_t n,
                float* out_re,
                float* out_im)
{
    for (std::size_t m = 0; m < n; m++) {
        out_re[m] += w_re * re[m] - w_im * im[m];
        out_im[m] += w_re * im[m] + w_im * re[m];
    }
}

DIFFSEM_VECTOR_CLONES
void add_scaled(const float* x, float w, std::size_t n, float* out)
{
    for (std::size_t m = 0; m < n; m++)
        out[m] += w * x[m];
}

} // namespace

StationaryChannel::StationaryChannel(const DvbtLayout& layout, std::size_t guard)
    : d_layout(layout),
      d_guard(guard),
      d_correlation(lags),
      d_doppler(first_doppler),
      d_noise(first_noise),
      d_profile(bins, 0),
      d_re(layout.columns),
      d_im(layout.columns),
      d_filter_re(positions * taps),
      d_filter_im(positions * taps)
{
    for (auto& row : d_rows) {
        row.re.resize(pilots(0));
        row.im.resize(pilots(0));
    }
    for (std::size_t i = 0; i < DvbtLayout::spacing * bins; i++)
        d_turns.push_back(
            std::polar(1.0, -two_pi * double(i) / double(DvbtLayout::spacing * bins)));
    renew_fading();
    renew_profile();
    renew_frequency_filter();
}

std::size_t StationaryChannel::pilots(std::size_t phase) const
{
    return (d_layout.columns - phase + DvbtLayout::phases - 1) / DvbtLayout::phases;
}

// The delays that can be told apart span N/3 samples; the guard interval lies in their middle.
double StationaryChannel::first_delay() const
{
    return (double(d_guard) - double(d_layout.fft_len) / double(DvbtLayout::spacing)) / 2;
}

void StationaryChannel::restart()
{
    d_seen = 0;
    for (auto& row : d_rows)
        row.measured = false;
}

void StationaryChannel::push(const cfloat* carriers, std::size_t phase)
{
    Row& row = d_rows[d_next];
    d_next = (d_next + 1) % rows;
    d_seen++;
    row.phase = phase;
    row.measured = carriers != nullptr;
    if (!carriers)
        return;
    constexpr std::size_t step = DvbtLayout::spacing * DvbtLayout::phases;
    for (std::size_t i = 0, k = DvbtLayout::spacing * phase; k < d_layout.carriers;
         i++, k += step) {
        const float inverse = 1 / d_layout.pilot[k];
        row.re[i] = carriers[k].real() * inverse;
        row.im[i] = carriers[k].imag() * inverse;
    }
    measure_time();
}

/*
 * The Wiener filter over what the rows have measured on the columns of a phase, for the row `back`. The filter over carriers
 * comes behind and takes noise away too, hence the smaller one here.
 */
StationaryChannel::TimeFilter StationaryChannel::time_filter(std::size_t back, std::size_t phase)
{
    TimeFilter out;
    for (std::size_t age = 0; age < std::min(rows, d_seen); age++)
        if (row(age).measured && row(age).phase == phase)
            out.age[out.count++] = age;
    if (!out.count)
        return out;
    using Matrix = Eigen::Matrix<double, Eigen::Dynamic, Eigen::Dynamic, 0, int(rows), int(rows)>;
    using Vector = Eigen::Matrix<double, Eigen::Dynamic, 1, 0, int(rows), 1>;
    const auto n = static_cast<Eigen::Index>(out.count);
    const auto r = [this](std::size_t a, std::size_t b) { return d_fading[a > b ? a - b : b - a]; };
    const double noise = std::max(d_noise * share_of_delays(), least_noise);
    Matrix covariance(n, n);
    Vector cross(n);
    const auto age = [&](Eigen::Index i) { return out.age[std::size_t(i)]; };
    for (Eigen::Index i = 0; i < n; i++) {
        cross(i) = r(age(i), back);
        for (Eigen::Index k = 0; k < n; k++)
            covariance(i, k) = r(age(i), age(k)) + (i == k ? noise : 0);
    }
    const Vector w = covariance.ldlt().solve(cross);
    covariance.diagonal().array() -= noise;
    // Of the channel h it gives g h + e, E|g h|^2 = signal, E[h* g h] = bias, E|e|^2 = left x d_noise
    d_bias += w.dot(cross) / double(DvbtLayout::phases);
    d_signal += w.dot(covariance * w) / double(DvbtLayout::phases);
    d_left += w.squaredNorm() / double(DvbtLayout::phases);
    for (Eigen::Index i = 0; i < n; i++)
        out.weight[std::size_t(i)] = static_cast<float>(w(i));
    return out;
}

void StationaryChannel::over_time(std::size_t back)
{
    d_bias = d_signal = d_left = 0;
    std::vector<float>& re = d_re;
    std::vector<float>& im = d_im;
    float sum_re[2048], sum_im[2048]; // columns of a phase: 569 at most
    for (std::size_t phase = 0; phase < DvbtLayout::phases; phase++) {
        const TimeFilter filter = time_filter(back, phase);
        const std::size_t n = pilots(phase);
        std::fill_n(sum_re, n, 0.0f);
        std::fill_n(sum_im, n, 0.0f);
        for (std::size_t i = 0; i < filter.count; i++) {
            const Row& from = row(filter.age[i]);
            add_scaled(from.re.data(), filter.weight[i], n, sum_re);
            add_scaled(from.im.data(), filter.weight[i], n, sum_im);
        }
        for (std::size_t i = 0; i < n; i++) {
            re[phase + DvbtLayout::phases * i] = sum_re[i];
            im[phase + DvbtLayout::phases * i] = sum_im[i];
        }
    }
}

/*
 * For each position in a window of `taps` columns: bias R(position, columns) (signal R + left noise)^-1.
 */
void StationaryChannel::renew_frequency_filter()
{
    const double step = double(d_layout.fft_len) / double(DvbtLayout::spacing * bins);
    const double first = (first_delay() + 0.5 * step) / step;
    // R(k) for k = 0 .. positions - 1 carriers; the other half is its conjugate
    std::array<complex, positions> r;
    for (std::size_t k = 0; k < positions; k++) {
        complex sum = 0;
        for (std::size_t b = 0; b < bins; b++)
            sum += d_profile[b] * d_turns[k * b % d_turns.size()];
        r[k] = sum * std::polar(1.0, -two_pi * double(k) * first / double(d_turns.size()));
    }
    const auto correlation = [&r](std::ptrdiff_t k) {
        return k < 0 ? std::conj(r[std::size_t(-k)]) : r[std::size_t(k)];
    };
    using Matrix = Eigen::Matrix<complex, int(taps), int(taps)>;
    Matrix covariance;
    constexpr auto spacing = static_cast<std::ptrdiff_t>(DvbtLayout::spacing);
    for (Eigen::Index i = 0; i < Eigen::Index(taps); i++)
        for (Eigen::Index k = 0; k < Eigen::Index(taps); k++)
            covariance(i, k) = d_signal * correlation(spacing * (i - k)) +
                               (i == k ? std::max(d_left * d_noise, least_noise) : 0.0);
    const Eigen::LLT<Matrix> solver(covariance);
    Eigen::Matrix<complex, int(taps), 1> cross;
    for (std::size_t p = 0; p < positions; p++) {
        for (std::size_t j = 0; j < taps; j++) // E[column j, conj(carrier p)]
            cross(Eigen::Index(j)) =
                d_bias * correlation(spacing * std::ptrdiff_t(j) - std::ptrdiff_t(p));
        const auto told = cross;
        solver.solveInPlace(cross);
        d_error[p] = std::max(1 - static_cast<float>(told.dot(cross).real()), 0.0f);
        for (std::size_t j = 0; j < taps; j++) {
            const complex w = std::conj(cross(Eigen::Index(j)));
            d_filter_re[p * taps + j] = static_cast<float>(w.real());
            d_filter_im[p * taps + j] = static_cast<float>(w.imag());
        }
    }
}

// Of the `taps` that a carrier is estimated from.
std::size_t StationaryChannel::first_column(std::size_t carrier) const
{
    constexpr std::size_t before = taps / 2 - 1;
    return std::min(std::max(carrier / DvbtLayout::spacing, before) - before,
                    d_layout.columns - taps);
}

std::size_t StationaryChannel::position(std::size_t carrier) const
{
    return carrier - DvbtLayout::spacing * first_column(carrier);
}

void StationaryChannel::over_frequency(cfloat* channel) const
{
    constexpr std::size_t before = taps / 2 - 1, spacing = DvbtLayout::spacing;
    const std::size_t columns = d_layout.columns, carriers = d_layout.carriers;
    const auto one = [&](std::size_t k) {
        const std::size_t from = first_column(k), at = position(k) * taps;
        float re = 0, im = 0;
        for (std::size_t j = 0; j < taps; j++) {
            const float w_re = d_filter_re[at + j], w_im = d_filter_im[at + j];
            re += w_re * d_re[from + j] - w_im * d_im[from + j];
            im += w_re * d_im[from + j] + w_im * d_re[from + j];
        }
        channel[k] = {re, im};
    };
    // Between the ends the same three filters, over many columns at once.
    const std::size_t begin = before, end = columns - taps + before + 1;
    constexpr std::size_t block = 128;
    for (std::size_t m = begin; m < end; m += block) {
        const std::size_t n = std::min(block, end - m);
        for (std::size_t p = 0; p < spacing; p++) {
            float re[block] = {}, im[block] = {};
            const std::size_t at = (spacing * before + p) * taps;
            for (std::size_t j = 0; j < taps; j++)
                add_scaled(&d_re[m - before + j],
                           &d_im[m - before + j],
                           d_filter_re[at + j],
                           d_filter_im[at + j],
                           n,
                           re,
                           im);
            for (std::size_t i = 0; i < n; i++)
                if (spacing * (m + i) + p < carriers)
                    channel[spacing * (m + i) + p] = {re[i], im[i]};
        }
    }
    for (std::size_t k = 0; k < spacing * begin; k++)
        one(k);
    for (std::size_t k = spacing * end; k < carriers; k++)
        one(k);
}

void StationaryChannel::estimate(std::size_t back, cfloat* channel, float* error)
{
    over_time(back);
    if (d_seen % every == 0)
        measure_frequency();
    if (d_until_renewed-- == 0) {
        d_until_renewed = renewed - 1;
        renew_doppler();
        renew_fading();
        renew_profile();
        renew_frequency_filter();
    }
    over_frequency(channel);
    for (std::size_t k = 0; error && k < d_layout.carriers; k++)
        error[k] = static_cast<float>(d_power) * d_error[position(k)];
}

} // namespace core
} // namespace diffsem
} // namespace gr
