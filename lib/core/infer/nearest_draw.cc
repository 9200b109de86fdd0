/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "infer/nearest_draw.h"

#include "operators/dct.h"

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
constexpr double smooth =
    1.0 / 24; // deviation of the activity's low pass, over Nyquist's frequency
constexpr double least_activity = 1e-3; // over its mean
constexpr double tiny = 1e-20;

double squared_frequency(std::size_t k, std::size_t rows, std::size_t columns)
{
    const double u = double(k / columns) / double(rows), v = double(k % columns) / double(columns);
    return u * u + v * v;
}

// 0 below 1/16 of Nyquist's frequency, then octaves.
std::size_t octave(double squared)
{
    std::size_t band = 0;
    for (const double edge : {1.0 / 16, 1.0 / 8, 1.0 / 4, 1.0 / 2})
        band += squared >= edge * edge;
    return band;
}

/*
 * Where a picture has structure, [rows, columns] of mean square 1, from the coefficients of its mean (used up): the
 * local power of what lies above an eighth of Nyquist's frequency, to 3/8 of its square.
 */
std::vector<double> activity(const PhotoTransform& transform, std::vector<float> coefficients)
{
    const std::size_t rows = transform.rows(), columns = transform.columns(), n = rows * columns;
    for (std::size_t k = 0; k < 3 * n; k++)
        if (octave(squared_frequency(k % n, rows, columns)) < 2)
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
    double mean = 0, square = 0;
    for (const double p : local)
        mean += p / double(n);
    if (!(mean > 0))
        return std::vector<double>(n, 1.0);
    for (double& p : local) {
        p = std::pow(std::max(p, least_activity * mean), 0.75);
        square += p * p / double(n);
    }
    for (double& p : local)
        p /= std::sqrt(square);
    return local;
}

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
        group[k] = std::uint8_t(octave(squared_frequency(k, rows, columns)) +
                                (posterior.seen[k] ? octaves : 0));
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
    const std::vector<double> local = activity(transform, mean);
    for (std::size_t i = 0; i < 3 * n; i++)
        detail[i] *= float(local[i % n]);
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
