/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "infer/nearest_draw.h"

#include "operators/local_activity.h"

#include <gnuradio/diffsem/core/base/philox.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <vector>

namespace gr {
namespace diffsem {
namespace core {

namespace {

constexpr std::size_t octaves = 5;
constexpr double most_gain = 2; // of a draw over the mean
constexpr double noise_exponent =
    1.5; // of the local power, that a draw's noise follows in variance
constexpr double tiny = 1e-20;

} // namespace

void add_realism(const PhotoPosterior& posterior,
                 float realism,
                 std::uint64_t seed,
                 std::uint32_t step,
                 float* image)
{
    const std::size_t rows = posterior.rows, columns = posterior.columns, n = rows * columns;
    const PhotoTransform transform(rows, columns);
    std::vector<float> mean(3 * n), detail(3 * n, 0.0f);
    transform.forward(image, mean.data());

    std::vector<std::uint8_t> group(n);
    std::array<double, 2 * octaves> count{}, signal{}, lost{}, gain{}, noise{};
    for (std::size_t k = 0; k < n; k++) {
        group[k] =
            std::uint8_t(frequency_octave(k, rows, columns) + (posterior.seen[k] ? octaves : 0));
        count[group[k]] += 1;
        signal[group[k]] += double(mean[k]) * mean[k];
        lost[group[k]] += posterior.error[k];
    }
    for (std::size_t g = 0; g < 2 * octaves; g++) {
        signal[g] /= std::max(count[g], 1.0);
        lost[g] /= std::max(count[g], 1.0);
        gain[g] =
            std::sqrt(std::min(1 + lost[g] / std::max(signal[g], tiny), most_gain * most_gain));
        noise[g] = std::sqrt(std::max(signal[g] + lost[g] - gain[g] * gain[g] * signal[g], 0.0));
    }

    Rng(seed).fill(0, step, Domain::real, n, detail.data());
    for (std::size_t k = 0; k < n; k++)
        detail[k] *= float(noise[group[k]]);
    transform.inverse(detail.data(), detail.data());
    const std::vector<double> local = local_activity(transform, mean, noise_exponent);
    for (std::size_t i = 0; i < 3 * n; i++)
        detail[i] *= float(std::sqrt(local[i % n]));
    transform.forward(detail.data(), detail.data());
    for (std::size_t k = 0; k < 3 * n; k++) {
        if (k < n)
            detail[k] += float(gain[group[k]] - 1) * mean[k];
        detail[k] *= posterior.error[k] / std::max(posterior.prior[k], float(tiny));
    }
    transform.inverse(detail.data(), detail.data());
    for (std::size_t i = 0; i < 3 * n; i++)
        image[i] += realism * detail[i];
}

} // namespace core
} // namespace diffsem
} // namespace gr
