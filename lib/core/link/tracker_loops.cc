/*
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#include "link/tracker_loops.h"

#include "base/vector_clones.h"

#include <limits>

namespace gr {
namespace diffsem {
namespace core {
namespace tracker {

namespace {

constexpr float empty = 9; // distance from the points, over the noise, from where nothing was sent
constexpr float infinity = std::numeric_limits<float>::infinity();
constexpr float largest = std::numeric_limits<float>::max();

} // namespace

DIFFSEM_VECTOR_CLONES
void distances(const cfloat* __restrict received,
               const cfloat* __restrict here,
               const cfloat* __restrict base,
               const cfloat* __restrict known,
               const cfloat* __restrict nearest,
               const std::uint8_t* __restrict in_use,
               float noise,
               float error,
               std::size_t n,
               float* __restrict miss)
{
    for (std::size_t k = 0; k < n; k++) {
        const float yr = received[k].real(), yi = received[k].imag();
        const float hr = here[k].real(), hi = here[k].imag();
        const float xr = nearest[k].real(), xi = nearest[k].imag();
        const float dr = yr - (hr * xr - hi * xi), di = yi - (hr * xi + hi * xr);
        const float far_off = dr * dr + di * di;
        const bool data = (known[k].real() == 0) & (known[k].imag() == 0);
        const bool estimated = (base[k].real() != 0) | (base[k].imag() != 0);
        const bool nothing_sent = data & (yr * yr + yi * yi < far_off) &
                                  (far_off > empty * (noise + error * (xr * xr + xi * xi)));
        const bool believed = (in_use[k] != 0) & estimated & (far_off <= largest) & !nothing_sent;
        miss[k] = believed ? far_off : infinity;
    }
}

DIFFSEM_VECTOR_CLONES
void looks_at(const cfloat* __restrict received,
              const cfloat* __restrict here,
              const cfloat* __restrict mean,
              const float* __restrict power,
              const float* __restrict expected,
              const float* __restrict miss,
              float unit,
              std::size_t n,
              cfloat* __restrict look,
              float* __restrict distance)
{
    for (std::size_t k = 0; k < n; k++) {
        const float yr = received[k].real(), yi = received[k].imag();
        const float hr = here[k].real(), hi = here[k].imag();
        const float xr = mean[k].real(), xi = mean[k].imag();
        const float half = expected[k] / 2, scale = 1 / (unit > half ? unit : half);
        const float dr = yr - (hr * xr - hi * xi), di = yi - (hr * xi + hi * xr);
        const float spread = power[k] - (xr * xr + xi * xi);
        const float apart = dr * dr + di * di + (hr * hr + hi * hi) * (spread > 0 ? spread : 0);
        const bool believed = miss[k] <= largest;
        const float re = (yr * xr + yi * xi - power[k] * hr) * scale;
        const float im = (yi * xr - yr * xi - power[k] * hi) * scale;
        look[k] = cfloat(believed ? re : 0, believed ? im : 0);
        distance[k] = believed ? apart : 0;
    }
}

DIFFSEM_VECTOR_CLONES
void filter(const cfloat* __restrict seen,
            const float* __restrict weight,
            float told,
            float q,
            std::size_t r,
            float* __restrict variance,
            cfloat* __restrict state,
            float* __restrict growth,
            float* __restrict misfit)
{
    for (std::size_t i = 0; i < r; i++) {
        const float before = variance[i] + q * weight[i], total = before * told + 1;
        const float after = before / total, gain = after * told;
        const float re = seen[i].real() - state[i].real(), im = seen[i].imag() - state[i].imag();
        growth[i] *= total;
        misfit[i] += (re * re + im * im) * told / total;
        state[i] = cfloat(state[i].real() + gain * re, state[i].imag() + gain * im);
        variance[i] = after;
    }
}

} // namespace tracker
} // namespace core
} // namespace diffsem
} // namespace gr
