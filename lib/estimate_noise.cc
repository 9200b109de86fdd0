/*
 * SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Where estimate has its noise variance from.
 */
#include "estimate_impl.h"

#include <algorithm>

namespace gr {
namespace diffsem {

namespace {

// Noise-free simulations have a noise variance of 0; a prior needs one above it.
constexpr float least_relative_noise = 1e-9f;

} // namespace

float estimate_impl::observed_power(const gr_complex* y) const
{
    const auto& observed = d.estimator.observed;
    double sum = 0;
    std::size_t count = 0;
    for (std::size_t i = 0; i < d.input; i++) {
        if (i < observed.size() && !observed[i])
            continue;
        sum += std::norm(y[i]);
        count++;
    }
    return static_cast<float>(sum / std::max<std::size_t>(count, 1));
}

// A blind estimate, averaged over items if asked for and kept above what a prior can work with.
float estimate_impl::averaged(float noise, const gr_complex* y)
{
    if (!std::isfinite(noise))
        return noise; // bypassed, and no part of the average
    const float weight = d.options.noise_averaging;
    if (weight < 1) {
        d_average = d_average < 0 ? noise : d_average + weight * (noise - d_average);
        noise = static_cast<float>(d_average);
    }
    return noise > 0 ? noise : least_relative_noise * observed_power(y);
}

void estimate_impl::noise_from_tags(const gr_complex* in, int items)
{
    const uint64_t read = nitems_read(0);
    get_tags_in_range(d_tags, 0, read, read + items);
    std::sort(d_tags.begin(), d_tags.end(), tag_t::offset_compare);
    auto tag = d_tags.begin();
    for (int i = 0; i < items; i++) {
        for (; tag != d_tags.end() && tag->offset <= read + i; ++tag) {
            double said = 0;
            if (!real_number(tag->value, said))
                continue;
            if (pmt::eqv(tag->key, d_noise_key)) {
                d_noise_var = static_cast<float>(said);
                d_from_snr = false;
            } else if (pmt::eqv(tag->key, d_keys.snr)) {
                d_rho = static_cast<float>(std::pow(10.0, said / 10));
                d_from_snr = true;
            }
        }
        d_noise[i] = d_from_snr ? observed_power(in + i * d.input) / (1 + d_rho) : d_noise_var;
    }
}

// Fills d_noise; gives the measurements, which for repeated ones are the means of the two.
const gr_complex* estimate_impl::measure_noise(const gr_complex* in, int items)
{
    const std::size_t m = d.input;
    switch (d.noise) {
    case source::parameter:
        std::fill_n(d_noise.begin(), items, d_noise_var);
        return in;
    case source::tag:
        noise_from_tags(in, items);
        return in;
    case source::null_carriers:
        for (int i = 0; i < items; i++)
            d_noise[i] =
                averaged(core::null_carrier_noise(in + i * m, d.options.null_carriers), in + i * m);
        return in;
    case source::delay_tail:
        for (int i = 0; i < items; i++)
            d_noise[i] = averaged((*d.tail)(in + i * m), in + i * m);
        return in;
    case source::repeated:
    case source::repeated_pairs:
        break;
    }
    const auto* observed = d.estimator.observed.empty() ? nullptr : d.estimator.observed.data();
    for (int i = 0; i < items; i++) {
        const gr_complex* first = in + 2 * i * m;
        gr_complex* mean = &d_mean_of_two[i * m];
        d_noise[i] =
            0.5f * averaged(core::repeated_noise(first, first + m, observed, m, mean), first);
    }
    return d_mean_of_two.data();
}

} // namespace diffsem
} // namespace gr
