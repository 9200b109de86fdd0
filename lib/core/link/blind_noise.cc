/*
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#include <gnuradio/diffsem/core/link/blind_noise.h>

#include <algorithm>
#include <cmath>
#include <utility>

namespace gr {
namespace diffsem {
namespace core {

namespace {

constexpr float least_relative_noise = 1e-9f;

} // namespace

float observed_power(const cfloat* y, std::size_t m, const std::vector<std::uint8_t>& observed)
{
    double sum = 0;
    std::size_t count = 0;
    for (std::size_t i = 0; i < m; i++) {
        if (i < observed.size() && !observed[i])
            continue;
        sum += std::norm(y[i]);
        count++;
    }
    return static_cast<float>(sum / std::max<std::size_t>(count, 1));
}

float observed_power(const float* y,
                     std::size_t parts,
                     std::size_t m,
                     const std::vector<std::uint8_t>& observed)
{
    if (parts == 2)
        return observed_power(reinterpret_cast<const cfloat*>(y), m, observed);
    double sum = 0;
    std::size_t count = 0;
    for (std::size_t i = 0; i < m; i++) {
        if (i < observed.size() && !observed[i])
            continue;
        sum += double(y[i]) * y[i];
        count++;
    }
    return static_cast<float>(sum / double(std::max<std::size_t>(count, 1)));
}

float noise_at_snr(float power, double snr_db)
{
    return power / (1 + static_cast<float>(std::pow(10.0, snr_db / 10)));
}

BlindNoise::BlindNoise(Options options) : d(std::move(options))
{
    if (d.source == Source::delay_tail)
        d_tail = std::make_unique<DelayTailNoise>(
            d.observed.empty() ? std::vector<std::uint8_t>(d.size, 1) : d.observed,
            d.delay_window > 0 ? d.delay_window : 0.25f * d.size);
    if (d_tail) {
        d_one = d_tail->freedom();
    } else if (d.source == Source::null_carriers) {
        d_one = double(d.null_carriers.size());
    } else { // the rotation that is fitted costs one of two real numbers
        const auto seen = std::count_if(
            d.observed.begin(), d.observed.end(), [](std::uint8_t o) { return o != 0; });
        d_one = (d.observed.empty() ? double(d.size) : double(seen)) - (d.parts == 2 ? 0.5 : 0.0);
    }
}

float BlindNoise::freedom() const
{
    return float(d_one / d_share);
}

float BlindNoise::operator()(const cfloat* y)
{
    return averaged(d_tail ? (*d_tail)(y) : null_carrier_noise(y, d.null_carriers),
                    reinterpret_cast<const float*>(y));
}

float BlindNoise::operator()(const cfloat* first, const cfloat* second, cfloat* mean)
{
    const auto* observed = d.observed.empty() ? nullptr : d.observed.data();
    return 0.5f * averaged(repeated_noise(first, second, observed, d.size, mean),
                           reinterpret_cast<const float*>(first));
}

float BlindNoise::operator()(const float* y)
{
    if (d.parts == 2)
        return (*this)(reinterpret_cast<const cfloat*>(y));
    double sum = 0;
    for (int k : d.null_carriers)
        sum += double(y[k]) * y[k];
    return averaged(float(sum / double(d.null_carriers.size())), y);
}

float BlindNoise::operator()(const float* first, const float* second, float* mean)
{
    if (d.parts == 2)
        return (*this)(reinterpret_cast<const cfloat*>(first),
                       reinterpret_cast<const cfloat*>(second),
                       reinterpret_cast<cfloat*>(mean));
    double sum = 0;
    std::size_t count = 0;
    for (std::size_t i = 0; i < d.size; i++) {
        mean[i] = 0.5f * (first[i] + second[i]);
        if (!d.observed.empty() && !d.observed[i])
            continue;
        sum += (double(first[i]) - second[i]) * (double(first[i]) - second[i]);
        count++;
    }
    // Their difference has twice the variance of one.
    return 0.5f * averaged(float(sum / 2 / double(std::max<std::size_t>(count, 1))), first);
}

float BlindNoise::averaged(float noise, const float* y)
{
    if (!std::isfinite(noise))
        return noise;
    if (d.weight < 1) {
        const double old = 1 - double(d.weight);
        d_share = d_average < 0 ? 1 : old * old * d_share + double(d.weight) * d.weight;
        d_average = d_average < 0 ? noise : d_average + d.weight * (noise - d_average);
        noise = static_cast<float>(d_average);
    }
    return noise > 0 ? noise
                     : least_relative_noise * observed_power(y, d.parts, d.size, d.observed);
}

} // namespace core
} // namespace diffsem
} // namespace gr
