/*
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#include <gnuradio/diffsem/core/link/carrier_noise.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <vector>

namespace gr {
namespace diffsem {
namespace core {

namespace {

constexpr double memory = 0.9;       // of frames: some ten count
constexpr int steps = 11;            // of the factor: 1, 2, 4 ...
constexpr double first_common = 0.9; // of them, whose factor is 1, before anything is known
constexpr int rounds = 12;

} // namespace

std::vector<double> noise_factors(const std::vector<double>& sums, const std::vector<double>& count)
{
    const std::size_t n = sums.size();
    std::array<double, steps> prior;
    prior.fill((1 - first_common) / (steps - 1));
    prior[0] = first_common;
    double level = 1;
    std::vector<double> precision(n, 1); // E[1/g]
    for (int round = 0; round < rounds; round++) {
        std::array<double, steps> share{};
        double sum = 0, weight = 0;
        int seen = 0;
        for (std::size_t k = 0; k < n; k++) {
            if (!(count[k] > 0))
                continue;
            std::array<double, steps> p;
            double top = -1e300, total = 0;
            for (int j = 0; j < steps; j++) {
                p[j] = std::log(prior[j] + 1e-12) - count[k] * j * std::log(2.0) -
                       sums[k] / (level * std::exp2(j));
                top = std::max(top, p[j]);
            }
            for (auto& v : p)
                total += v = std::exp(v - top);
            precision[k] = 0;
            for (int j = 0; j < steps; j++) {
                share[j] += p[j] / total;
                precision[k] += p[j] / total * std::exp2(-j);
            }
            seen++;
            sum += sums[k] * precision[k];
            weight += count[k];
        }
        if (!seen || !(sum > 0))
            return std::vector<double>(n, 1);
        level = sum / weight;
        // a little of what was believed before stays: no factor becomes impossible
        for (int j = 0; j < steps; j++)
            prior[j] = (share[j] + (j ? 0.01 : 1)) / (seen + 1 + 0.01 * (steps - 1));
    }
    for (auto& v : precision)
        v = level / v;
    return precision;
}

CarrierNoise::CarrierNoise(std::size_t carriers)
    : d_sum(carriers, 0),
      d_count(carriers, 0),
      d_factor(carriers, 1)
{
}

void CarrierNoise::add(const std::vector<double>& found,
                       const std::vector<double>& stated,
                       const std::vector<int>& count)
{
    const std::size_t n = d_factor.size();
    double all_found = 0, all_stated = 0;
    for (std::size_t k = 0; k < n; k++) {
        all_found += found[k];
        all_stated += stated[k];
    }
    const double mean = all_stated > 0 ? all_found / all_stated : 0;
    if (!(mean > 0) || !std::isfinite(mean))
        return; // no noise, or no number: nothing is learnt
    for (std::size_t k = 0; k < n; k++) {
        d_sum[k] *= memory;
        d_count[k] *= memory;
        if (count[k] > 0 && stated[k] > 0) {
            d_sum[k] += count[k] * found[k] / (stated[k] * mean);
            d_count[k] += count[k];
        }
    }
    d_factor = noise_factors(d_sum, d_count);
}

} // namespace core
} // namespace diffsem
} // namespace gr
