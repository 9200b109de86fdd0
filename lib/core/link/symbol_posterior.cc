/*
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#include <gnuradio/diffsem/core/link/symbol_posterior.h>

#include <gnuradio/diffsem/core/base/error.h>

#include <algorithm>
#include <cmath>
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

SymbolPosterior::Moments
SymbolPosterior::axis(const std::vector<float>& levels, float slope, float curve)
{
    if (levels.size() == 1)
        return {levels[0], levels[0] * levels[0], levels[0]};
    if (levels.size() == 2) {
        const float a = levels[0], b = levels[1];
        const float more =
            1 / (1 + std::exp((a - b) * (2 * slope - curve * (a + b)))); // weight of b
        return {a + more * (b - a), a * a + more * (b * b - a * a), more > 0.5f ? b : a};
    }
    float most = -std::numeric_limits<float>::infinity(), nearest = levels[0];
    for (float l : levels)
        if (const float e = l * (2 * slope - curve * l); e > most) {
            most = e;
            nearest = l;
        }
    float total = 0, first = 0, second = 0;
    for (float l : levels) {
        const float w = std::exp(l * (2 * slope - curve * l) - most);
        total += w;
        first += w * l;
        second += w * l * l;
    }
    return {first / total, second / total, nearest};
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

void SymbolPosterior::run(cfloat y,
                          cfloat h,
                          float noise,
                          cfloat& mean,
                          float& power,
                          cfloat& nearest) const
{
    const cfloat slope((y.real() * h.real() + y.imag() * h.imag()) / noise,
                       (y.imag() * h.real() - y.real() * h.imag()) / noise);
    const float curve = std::norm(h) / noise;
    if (d_real.empty())
        return whole(slope, curve, mean, power, nearest);
    const auto re = axis(d_real, slope.real(), curve), im = axis(d_imag, slope.imag(), curve);
    mean = cfloat(re.mean, im.mean);
    power = re.power + im.power;
    nearest = cfloat(re.nearest, im.nearest);
}

} // namespace core
} // namespace diffsem
} // namespace gr
