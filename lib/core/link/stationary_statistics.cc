/*
 * SPDX-License-Identifier: GPL-3.0-or-later
 *
 * What StationaryChannel measures on the stream: how fast it fades, the power of each delay, the noise.
 */
#include <gnuradio/diffsem/core/link/stationary_channel.h>

#include "base/vector_clones.h"

#include <algorithm>
#include <cmath>
#include <complex>

namespace gr {
namespace diffsem {
namespace core {

namespace {

using complex = std::complex<double>;

constexpr double two_pi = 6.283185307179586;
constexpr double memory_time = 0.98;  // of the running means, a symbol
constexpr double memory_delay = 0.97; // of the correlations over carriers, each
constexpr double enough_coherence = 0.6;
constexpr double doppler_margin = 1.15, least_doppler = 0.001; // slower takes no more than that
constexpr double most_doppler = 0.12;
constexpr double surprise = 3e-3;   // of the power, in equal parts where a path may come up
constexpr double margin = 1.0 / 64; // of the FFT length, on both sides of the guard interval

// sum of a[i] conj(b[i])
DIFFSEM_VECTOR_CLONES
void correlate(const float* a_re,
               const float* a_im,
               const float* b_re,
               const float* b_im,
               std::size_t n,
               float* out)
{
    constexpr std::size_t lanes = 8;
    float re[lanes] = {}, im[lanes] = {};
    std::size_t i = 0;
    for (; i + lanes <= n; i += lanes)
        for (std::size_t l = 0; l < lanes; l++) {
            re[l] += a_re[i + l] * b_re[i + l] + a_im[i + l] * b_im[i + l];
            im[l] += a_im[i + l] * b_re[i + l] - a_re[i + l] * b_im[i + l];
        }
    for (; i < n; i++) {
        re[0] += a_re[i] * b_re[i] + a_im[i] * b_im[i];
        im[0] += a_im[i] * b_re[i] - a_re[i] * b_im[i];
    }
    out[0] = out[1] = 0;
    for (std::size_t l = 0; l < lanes; l++) {
        out[0] += re[l];
        out[1] += im[l];
    }
}

// Where J0(x) has this value, 0 <= x <= 2.4.
double inverse_j0(double value)
{
    double low = 0, high = 2.4;
    for (int i = 0; i < 30; i++) {
        const double middle = (low + high) / 2;
        (std::cyl_bessel_j(0.0, middle) > value ? low : high) = middle;
    }
    return low;
}

} // namespace

void StationaryChannel::renew_fading()
{
    for (std::size_t s = 0; s < rows; s++)
        d_fading[s] = std::cyl_bessel_j(0.0, two_pi * d_doppler * double(s));
}

float StationaryChannel::noise_var() const
{
    return static_cast<float>(d_measured * 16 / 9); // pilots are 4/3
}

// Coherence of this row's pilots with those 4, 8 and 12 rows before.
void StationaryChannel::measure_time()
{
    const Row& now = row(0);
    const std::size_t n = pilots(now.phase);
    const auto energy = [n](const Row& r) {
        float out[2];
        correlate(r.re.data(), r.im.data(), r.re.data(), r.im.data(), n, out);
        return double(out[0]) / double(n);
    };
    const double here = energy(now);
    d_mean_power = memory_time * d_mean_power + (1 - memory_time) * here;
    d_times = memory_time * d_times + (1 - memory_time);
    for (std::size_t i = 0; i < d_lag.size(); i++) {
        const Row& before = row(DvbtLayout::phases * (i + 1));
        if (!before.measured || before.phase != now.phase)
            continue;
        float out[2];
        correlate(now.re.data(), now.im.data(), before.re.data(), before.im.data(), n, out);
        d_lag[i] = memory_time * d_lag[i] + (1 - memory_time) * complex(out[0], out[1]) / double(n);
        d_lag_power[i] =
            memory_time * d_lag_power[i] + (1 - memory_time) * std::sqrt(here * energy(before));
    }
}

// f from the longest lag at which the pilots still resemble each other.
void StationaryChannel::renew_doppler()
{
    double found = most_doppler;
    for (std::size_t i = d_lag.size(); i-- > 0;) {
        const double power =
            d_lag_power[i] * (1 - d_measured * d_times / std::max(d_mean_power, 1e-30));
        if (!(power > 0))
            return;
        const double coherence = std::abs(d_lag[i]) / power;
        if (coherence < enough_coherence && i > 0)
            continue;
        const double lag = double(DvbtLayout::phases * (i + 1));
        found = inverse_j0(std::min(std::max(coherence, 0.0), 1.0)) / (two_pi * lag);
        break;
    }
    d_doppler = std::min(doppler_margin * found + least_doppler, most_doppler);
}

// What share of the delays that can be told apart is in use; as far as `taps` columns can tell.
double StationaryChannel::share_of_delays() const
{
    double sum = 0, squares = 0;
    for (const double p : d_profile) {
        sum += p;
        squares += p * p;
    }
    const double share = squares > 0 ? sum * sum / squares / double(bins) : 1;
    return std::max(share, 2.0 / double(taps));
}

void StationaryChannel::measure_frequency()
{
    const std::size_t n = d_layout.columns;
    for (std::size_t d = 0; d < lags; d++) {
        float out[2];
        correlate(d_re.data() + d, d_im.data() + d, d_re.data(), d_im.data(), n - d, out);
        const complex mean = complex(out[0], out[1]) / double(n - d);
        d_correlation[d] = memory_delay * d_correlation[d] + (1 - memory_delay) * mean;
    }
    d_correlations = memory_delay * d_correlations + (1 - memory_delay);
}

/*
 * Blackman and Tukey's estimate of the power of each delay. What lies outside of the guard interval and its margins is noise.
 */
void StationaryChannel::renew_profile()
{
    const double step = double(d_layout.fft_len) / double(DvbtLayout::spacing * bins);
    const double edge = margin * double(d_layout.fft_len);
    const auto within = [&](std::size_t b) {
        const double delay = first_delay() + (double(b) + 0.5) * step;
        return delay >= -edge && delay <= double(d_guard) + edge;
    };
    std::array<double, bins> power{}, outside;
    std::size_t inside = 0, others = 0;
    for (std::size_t b = 0; b < bins; b++)
        inside += within(b);
    if (d_correlations > 0) {
        const double first = (first_delay() + 0.5 * step) / step; // in steps
        for (std::size_t b = 0; b < bins; b++) {
            double sum = d_correlation[0].real();
            for (std::size_t d = 1; d < lags; d++) {
                const double taper = 0.5 + 0.5 * std::cos(two_pi / 2 * double(d) / double(lags));
                const double turn = two_pi * double(d) * (first + double(b)) / double(bins);
                sum += 2 * taper *
                       (d_correlation[d].real() * std::cos(turn) -
                        d_correlation[d].imag() * std::sin(turn));
            }
            power[b] = sum / d_correlations / double(bins);
            if (!within(b))
                outside[others++] = power[b];
        }
        const auto middle = outside.begin() + std::ptrdiff_t(others / 2);
        std::nth_element(outside.begin(), middle, outside.begin() + std::ptrdiff_t(others));
        const double floor = std::max(*middle, 0.0);
        double sum = 0;
        for (std::size_t b = 0; b < bins; b++) {
            power[b] = within(b) ? std::max(power[b] - floor, 0.0) / std::max(d_signal, 1e-3) : 0;
            sum += power[b];
        }
        if (!(sum > 0))
            return;
        d_power = sum;
        d_measured = std::max(floor * double(bins) / std::max(d_left, 1e-3), least_noise * sum);
        d_noise = d_measured / sum;
        for (auto& p : power)
            p /= sum;
    }
    const double all = d_correlations > 0 ? surprise : 1;
    for (std::size_t b = 0; b < bins; b++)
        d_profile[b] = (1 - all) * power[b] + (within(b) ? all / double(inside) : 0);
}

} // namespace core
} // namespace diffsem
} // namespace gr
