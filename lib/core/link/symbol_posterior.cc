/*
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#include <gnuradio/diffsem/core/link/symbol_posterior.h>

#include <gnuradio/diffsem/core/base/error.h>

#include "base/vector_clones.h"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <limits>
#include <string>
#include <utility>

namespace gr {
namespace diffsem {
namespace core {

namespace {

constexpr std::size_t most_points = 4096;

// The different values among these, equal ones up to rounding counted once.
std::vector<float> levels_of(std::vector<float> values, float tolerance)
{
    std::sort(values.begin(), values.end());
    std::vector<float> levels;
    for (float v : values)
        if (levels.empty() || v - levels.back() > tolerance)
            levels.push_back(v);
    return levels;
}

constexpr std::size_t chunk = 64; // symbols at a time

// exp(x) of x <= 0 to 2e-7, from exp(-87) on: Taylor's series about the nearest power of two. In loops, unlike
// std::exp, the compiler makes vectors of it.
inline float exponential(float x)
{
    x = x < -87 ? -87 : x;
    constexpr float round = 12582912; // 1.5 2^23: what is added to it is rounded to an integer
    const float shifted = x * 1.44269504f + round, power = shifted - round;
    const float f = (x - power * 0.693145752f) - power * 1.42860677e-6f; // x - power log 2
    const float series =
        1 + f * (1 + f * (1.f / 2 +
                          f * (1.f / 6 + f * (1.f / 24 + f * (1.f / 120 + f * (1.f / 720))))));
    std::uint32_t bits, shift;
    std::memcpy(&bits, &series, sizeof(bits));
    std::memcpy(&shift, &shifted, sizeof(shift));
    bits += shift << 23; // the 23 lowest bits of `round` are 2^22: shifted out
    float result;
    std::memcpy(&result, &bits, sizeof(result));
    return result;
}

// Of the real or imaginary parts of some symbols.
struct Moments {
    float mean[chunk], power[chunk], nearest[chunk];
};

struct Slopes {
    float re[chunk], im[chunk], curve[chunk];
};

// Logarithms of the weights of the levels are l (2 slope - curve l), but for what they share.
DIFFSEM_VECTOR_CLONES
void slopes(const cfloat* __restrict y,
            const cfloat* __restrict h,
            float noise,
            std::size_t n,
            Slopes& __restrict out)
{
    for (std::size_t k = 0; k < n; k++) {
        const float hr = h[k].real(), hi = h[k].imag(), yr = y[k].real(), yi = y[k].imag();
        out.re[k] = (yr * hr + yi * hi) / noise;
        out.im[k] = (yi * hr - yr * hi) / noise;
        out.curve[k] = (hr * hr + hi * hi) / noise;
    }
}

DIFFSEM_VECTOR_CLONES
void of_two(float a,
            float b,
            const float* __restrict slope,
            const float* __restrict curve,
            std::size_t n,
            Moments& __restrict out)
{
    for (std::size_t k = 0; k < n; k++) {
        const float against =
            (a - b) * (2 * slope[k] - curve[k] * (a + b)); // log of a's weight over b's
        const float less = exponential(-std::abs(against)), one = 1 / (1 + less);
        const float more = against > 0 ? less * one : one; // weight of b
        out.mean[k] = a + more * (b - a);
        out.power[k] = a * a + more * (b * b - a * a);
        out.nearest[k] = against < 0 ? b : a;
    }
}

DIFFSEM_VECTOR_CLONES
void likelier(float l,
              const float* __restrict slope,
              const float* __restrict curve,
              std::size_t n,
              float* __restrict most,
              float* __restrict nearest)
{
    for (std::size_t k = 0; k < n; k++) {
        const float e = l * (2 * slope[k] - curve[k] * l);
        nearest[k] = e > most[k] ? l : nearest[k];
        most[k] = e > most[k] ? e : most[k];
    }
}

DIFFSEM_VECTOR_CLONES
void weigh(float l,
           const float* __restrict slope,
           const float* __restrict curve,
           const float* __restrict most,
           std::size_t n,
           float* __restrict total,
           Moments& __restrict out)
{
    for (std::size_t k = 0; k < n; k++) {
        const float w = exponential(l * (2 * slope[k] - curve[k] * l) - most[k]);
        total[k] += w;
        out.mean[k] += w * l;
        out.power[k] += w * l * l;
    }
}

void axis(const std::vector<float>& levels,
          const float* slope,
          const float* curve,
          std::size_t n,
          Moments& out)
{
    if (levels.size() == 2)
        return of_two(levels[0], levels[1], slope, curve, n, out);
    std::fill_n(out.nearest, n, levels[0]);
    std::fill_n(out.mean, n, 0.0f);
    std::fill_n(out.power, n, 0.0f);
    float most[chunk], total[chunk] = {};
    std::fill_n(most, n, -std::numeric_limits<float>::infinity());
    for (float l : levels)
        likelier(l, slope, curve, n, most, out.nearest);
    for (float l : levels)
        weigh(l, slope, curve, most, n, total, out);
    for (std::size_t k = 0; k < n; k++) {
        out.mean[k] /= total[k];
        out.power[k] /= total[k];
    }
}

} // namespace

SymbolPosterior::SymbolPosterior(std::vector<cfloat> points) : d_points(std::move(points))
{
    const std::size_t m = d_points.size();
    if (m < 2 || m > most_points)
        throw Error("constellation has " + std::to_string(m) + " points: give 2 to " +
                    std::to_string(most_points));
    std::vector<float> real, imag;
    double power = 0;
    for (const auto& p : d_points) {
        real.push_back(p.real());
        imag.push_back(p.imag());
        power += std::norm(p);
    }
    if (!std::isfinite(power) || power == 0)
        throw Error("constellation has points that are not finite, or all zero: give those sent");
    d_power = static_cast<float>(power / m);
    const float tolerance = 1e-4f * std::sqrt(d_power);
    real = levels_of(std::move(real), tolerance);
    imag = levels_of(std::move(imag), tolerance);
    if (real.size() * imag.size() == m) {
        d_real = std::move(real);
        d_imag = std::move(imag);
    }
}

void SymbolPosterior::whole(cfloat slope,
                            float curve,
                            cfloat& mean,
                            float& power,
                            cfloat& nearest) const
{
    const auto weight = [&](cfloat x) {
        return 2 * (slope.real() * x.real() + slope.imag() * x.imag()) - curve * std::norm(x);
    };
    float most = -std::numeric_limits<float>::infinity();
    for (const auto& x : d_points)
        if (const float e = weight(x); e > most) {
            most = e;
            nearest = x;
        }
    float total = 0;
    mean = 0;
    power = 0;
    for (const auto& x : d_points) {
        const float w = std::exp(weight(x) - most);
        total += w;
        mean += w * x;
        power += w * std::norm(x);
    }
    mean /= total;
    power /= total;
}

void SymbolPosterior::run(const cfloat* y,
                          const cfloat* h,
                          float noise,
                          std::size_t n,
                          cfloat* mean,
                          float* power,
                          cfloat* nearest) const
{
    for (std::size_t begin = 0; begin < n; begin += chunk) {
        const std::size_t count = std::min(chunk, n - begin);
        Slopes at;
        slopes(y + begin, h + begin, noise, count, at);
        if (d_real.empty()) {
            for (std::size_t k = 0; k < count; k++)
                whole({at.re[k], at.im[k]},
                      at.curve[k],
                      mean[begin + k],
                      power[begin + k],
                      nearest[begin + k]);
            continue;
        }
        Moments re, im;
        axis(d_real, at.re, at.curve, count, re);
        axis(d_imag, at.im, at.curve, count, im);
        for (std::size_t k = 0; k < count; k++) {
            mean[begin + k] = cfloat(re.mean[k], im.mean[k]);
            power[begin + k] = re.power[k] + im.power[k];
            nearest[begin + k] = cfloat(re.nearest[k], im.nearest[k]);
        }
    }
}

} // namespace core
} // namespace diffsem
} // namespace gr
