/*
 * SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Tails of the gamma distribution: what sums of exponential variables, powers of noise, reach by chance.
 */
#pragma once

#include <algorithm>
#include <cmath>

namespace gr {
namespace diffsem {
namespace core {

//! Upper tail of the gamma distribution of shape k at x (series of the lower one; k up to some tens).
inline double gamma_tail(double k, double x)
{
    double term = std::exp(k * std::log(x) - x - std::lgamma(k + 1)), sum = term;
    for (int i = 1; i < 1000 && term > 1e-17 * sum; i++) {
        term *= x / (k + i);
        sum += term;
    }
    return std::max(0.0, 1 - sum);
}

//! Where the upper tail is this.
inline double gamma_threshold(double k, double tail)
{
    double low = k, high = k + 50 * std::sqrt(k) + 50;
    for (int i = 0; i < 60; i++) {
        const double middle = 0.5 * (low + high);
        (gamma_tail(k, middle) > tail ? low : high) = middle;
    }
    return high;
}

} // namespace core
} // namespace diffsem
} // namespace gr
