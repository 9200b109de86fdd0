/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <gnuradio/diffsem/core/picture/picture_receiver.h>

#include "operators/local_activity.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <limits>
#include <utility>
#include <vector>

namespace gr {
namespace diffsem {
namespace core {

namespace {

constexpr std::size_t max_pixels = std::size_t(1) << 23;
constexpr double deviation_exponent = 0.5; // of the local power; measured, bench/results.md
constexpr float lost = std::numeric_limits<float>::infinity();

void check(std::size_t n,
           const float* y,
           const float* gains,
           const float* noise_var,
           const float* spectrum)
{
    for (std::size_t k = 0; k < n; k++) {
        if (!(spectrum[k] >= 0) || !std::isfinite(spectrum[k]))
            throw Error("spectrum has values that are not finite or negative: give E x^2 of "
                        "each coefficient");
        const bool measured = gains[k] != 0 && noise_var[k] < lost;
        if (!(noise_var[k] >= 0) || (measured && !std::isfinite(y[k])))
            throw Error("y or noise_var has values that are not finite or negative: mark what is "
                        "lost by an infinite noise_var");
    }
}

} // namespace

std::unique_ptr<Estimator> make_picture_estimator(std::shared_ptr<const Scheme> scheme, int steps)
{
    if (!scheme)
        throw Error("no scheme was given");
    if (!scheme->info().image)
        throw Error("scheme '" + scheme->info().spec +
                    "' is no scheme of photographs: give linear, photo_mmse, photo_posterior, or "
                    "another package of the domain 'image'");
    if (steps > 1000)
        throw Error("steps = " + std::to_string(steps) + " must be at most 1000");
    EstimatorOptions options;
    options.steps = steps;
    options.residual = false; // another cosine transform
    return std::make_unique<Estimator>(std::move(scheme), options);
}

PictureInfo estimate_picture(Estimator& estimator,
                             std::size_t rows,
                             std::size_t columns,
                             const float* y,
                             const float* gains,
                             const float* noise_var,
                             const float* spectrum,
                             float* image,
                             float* variance,
                             float* deviation,
                             bool clip)
{
    using clock = std::chrono::steady_clock;
    const auto began = clock::now();
    if (rows < 1 || columns < 1 || rows > max_photo_side || columns > max_photo_side ||
        rows * columns > max_pixels)
        throw Error("a picture of " + std::to_string(rows) + " x " + std::to_string(columns) +
                    " pixels: sides must lie in 1 .. " + std::to_string(max_photo_side) +
                    ", with at most " + std::to_string(max_pixels) + " pixels in all");
    const std::size_t n = 3 * rows * columns;
    check(n, y, gains, noise_var, spectrum);
    estimator.set_operator(
        make_transform_operator(rows, columns, std::vector<float>(gains, gains + n)),
        {3, std::int64_t(rows), std::int64_t(columns)});
    estimator.set_context("spectrum", spectrum, n);
    ItemInfo item;
    std::vector<float> own(deviation && !variance ? n : 0);
    float* left = variance || !deviation ? variance : own.data();
    estimator.run(y, 1, noise_var, n, 0, image, left, &item);
    if (deviation)
        picture_deviation(rows, columns, image, left, deviation);
    for (std::size_t i = 0; i < n; i++)
        image[i] = clip ? std::min(std::max(image[i] + 0.5f, 0.0f), 1.0f) : image[i] + 0.5f;
    PictureInfo info;
    info.evaluations = item.steps;
    info.net_seconds = item.seconds;
    info.linear = item.bypassed;
    info.reason = item.reason;
    info.seconds = std::chrono::duration<double>(clock::now() - began).count();
    return info;
}

void picture_deviation(std::size_t rows,
                       std::size_t columns,
                       const float* image,
                       const float* variance,
                       float* deviation)
{
    const PhotoTransform transform(rows, columns);
    std::vector<float> mean(transform.elements());
    transform.forward(image, mean.data());
    double total = 0;
    for (std::size_t k = 0; k < mean.size(); k++)
        total += double(variance[k]) / double(mean.size());
    const std::vector<double> local =
        local_activity(transform, std::move(mean), deviation_exponent);
    for (std::size_t i = 0; i < local.size(); i++)
        deviation[i] = float(std::sqrt(total * local[i]));
}

Picture receive_picture(Estimator& estimator,
                        const std::uint8_t* digital,
                        std::size_t octets,
                        const std::complex<float>* symbols,
                        const float* noise_var,
                        std::size_t n_symbols,
                        bool deviation)
{
    const PicturePlan plan = PicturePlan::parse(digital, octets);
    if (plan.n_symbols != n_symbols)
        throw Error("its digital part speaks of " + std::to_string(plan.n_symbols) +
                    " symbols, there are " + std::to_string(n_symbols));
    const PictureMeasurement m = plan.measurement(symbols, noise_var);
    const std::vector<double> variances = plan.variances();
    const std::vector<float> spectrum(variances.begin(), variances.end());
    const std::size_t plane = plan.rows * plan.columns;
    std::vector<float> image(3 * plane);
    Picture out;
    out.rows = plan.rows;
    out.columns = plan.columns;
    out.scheme_hash = plan.scheme_hash;
    out.hash_bits = plan.block_rows == 1 ? 8 : 16;
    out.deviation.resize(deviation ? plane : 0);
    out.info = estimate_picture(estimator,
                                plan.rows,
                                plan.columns,
                                m.y.data(),
                                m.gains.data(),
                                m.noise_var.data(),
                                spectrum.data(),
                                image.data(),
                                nullptr,
                                deviation ? out.deviation.data() : nullptr);
    out.pixels.resize(3 * plane);
    for (std::size_t i = 0; i < plane; i++)
        for (std::size_t c = 0; c < 3; c++) // to even, as NumPy rounds
            out.pixels[3 * i + c] = std::uint8_t(std::nearbyint(image[c * plane + i] * 255));
    return out;
}

} // namespace core
} // namespace diffsem
} // namespace gr
