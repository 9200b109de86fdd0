/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "operators/local_activity.h"

#include <algorithm>
#include <cmath>

namespace gr {
namespace diffsem {
namespace core {

namespace {

constexpr double smooth = 1.0 / 24;     // deviation of the low pass, over Nyquist's frequency
constexpr double least_activity = 1e-3; // over its mean

double squared_frequency(std::size_t k, std::size_t rows, std::size_t columns)
{
    const double u = double(k / columns) / double(rows), v = double(k % columns) / double(columns);
    return u * u + v * v;
}

} // namespace

std::size_t frequency_octave(std::size_t k, std::size_t rows, std::size_t columns)
{
    const double squared = squared_frequency(k, rows, columns);
    std::size_t band = 0;
    for (const double edge : {1.0 / 16, 1.0 / 8, 1.0 / 4, 1.0 / 2})
        band += squared >= edge * edge;
    return band;
}

std::vector<double>
local_activity(const PhotoTransform& transform, std::vector<float> coefficients, double exponent)
{
    const std::size_t rows = transform.rows(), columns = transform.columns(), n = rows * columns;
    for (std::size_t k = 0; k < 3 * n; k++)
        if (frequency_octave(k % n, rows, columns) < 2)
            coefficients[k] = 0;
    transform.inverse(coefficients.data(), coefficients.data());
    for (std::size_t i = 0; i < n; i++) { // a grey picture of the mean power
        double power = 0;
        for (std::size_t c = 0; c < 3; c++)
            power += double(coefficients[c * n + i]) * coefficients[c * n + i] / 3;
        for (std::size_t c = 0; c < 3; c++)
            coefficients[c * n + i] = float(power);
    }
    transform.forward(coefficients.data(), coefficients.data());
    for (std::size_t k = 0; k < n; k++) {
        coefficients[k] *=
            float(std::exp(-0.5 * squared_frequency(k, rows, columns) / (smooth * smooth)));
        coefficients[n + k] = coefficients[2 * n + k] = 0; // grey has no colour
    }
    transform.inverse(coefficients.data(), coefficients.data());
    std::vector<double> local(coefficients.begin(), coefficients.begin() + std::ptrdiff_t(n));
    double mean = 0, sum = 0;
    for (const double p : local)
        mean += p / double(n);
    if (!(mean > 0))
        return std::vector<double>(n, 1.0);
    for (double& p : local) {
        p = std::pow(std::max(p, least_activity * mean), exponent);
        sum += p;
    }
    for (double& p : local)
        p *= double(n) / sum;
    return local;
}

} // namespace core
} // namespace diffsem
} // namespace gr
