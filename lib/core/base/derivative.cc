/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "base/derivative.h"

#include <gnuradio/diffsem/core/base/philox.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <vector>

namespace gr {
namespace diffsem {
namespace core {

namespace {

constexpr float step =
    3e-3f; // of x with unit power: what is left of a kink, and rounding, are both small
constexpr double rounding = 1e-4; // of |v| |y|: float32's 6e-8 over the step, with room
constexpr std::uint64_t seed = 20240917;

double dot(const std::vector<float>& a, const std::vector<float>& b)
{
    double sum = 0;
    for (std::size_t i = 0; i < a.size(); i++)
        sum += double(a[i]) * b[i];
    return sum;
}

double error_of(const Differentiable& f, std::uint64_t trial)
{
    const Rng rng(seed);
    const std::size_t parts = f.domain == Domain::complex ? 2 : 1;
    std::vector<float> x(parts * f.inputs), u(x.size()), moved(x.size()), pulled(x.size());
    std::vector<float> v(parts * f.outputs), up(v.size()), down(v.size()), pushed(v.size());
    rng.fill(trial, 0, f.domain, f.inputs, x.data());
    rng.fill(trial, 1, f.domain, f.inputs, u.data());
    rng.fill(trial, 2, f.domain, f.outputs, v.data());
    for (std::size_t i = 0; i < x.size(); i++)
        moved[i] = x[i] + step * u[i];
    f.value(moved.data(), up.data());
    for (std::size_t i = 0; i < x.size(); i++)
        moved[i] = x[i] - step * u[i];
    f.value(moved.data(), down.data());
    for (std::size_t i = 0; i < v.size(); i++)
        pushed[i] = (up[i] - down[i]) / (2 * step);
    const double size = std::sqrt(dot(pushed, pushed));
    if (size > 0) // so that the product compared is none that is small by chance
        for (std::size_t i = 0; i < v.size(); i++)
            v[i] += float(std::sqrt(double(f.outputs)) / size * pushed[i]);
    f.vjp(x.data(), v.data(), pulled.data());
    const double length = std::sqrt(dot(v, v));
    const double noise = rounding * length * std::sqrt(dot(up, up));
    const double apart = std::fabs(dot(v, pushed) - dot(pulled, u));
    const double scale = length * size;
    if (!std::isfinite(apart) || !std::isfinite(scale) || !std::isfinite(dot(pulled, pulled)))
        return std::numeric_limits<double>::quiet_NaN();
    if (apart <= noise)
        return 0;
    return scale > 0 ? apart / scale : std::numeric_limits<double>::infinity();
}

} // namespace

double derivative_error(const Differentiable& f)
{
    std::array<double, 5> errors{};
    for (std::size_t i = 0; i < errors.size(); i++) {
        errors[i] = error_of(f, i);
        if (std::isnan(errors[i]))
            return errors[i];
    }
    std::sort(errors.begin(), errors.end());
    return errors[errors.size() / 2];
}

} // namespace core
} // namespace diffsem
} // namespace gr
