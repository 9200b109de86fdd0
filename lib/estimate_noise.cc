/*
 * SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Where estimate has its noise variance from.
 */
#include "estimate_impl.h"

#include <algorithm>

namespace gr {
namespace diffsem {

void estimate_impl::noise_from_tags(const float* in, int items)
{
    const uint64_t read = nitems_read(0);
    get_tags_in_range(d_tags, 0, read, read + items);
    std::sort(d_tags.begin(), d_tags.end(), tag_t::offset_compare);
    auto tag = d_tags.begin();
    for (int i = 0; i < items; i++) {
        for (; tag != d_tags.end() && tag->offset <= read + i; ++tag) {
            const bool variance = pmt::eqv(tag->key, d_noise_key);
            if (!variance && !pmt::eqv(tag->key, d_keys.snr))
                continue;
            double said = 0;
            if (!real_number(tag->value, said)) {
                d_ledger.refuse_tag(tag->key, "no number");
            } else if (variance) {
                d_noise_var = static_cast<float>(said);
                d_from_snr = false;
            } else {
                d_snr_db = said;
                d_from_snr = true;
            }
        }
        d_noise[i] = d_noise_var;
        if (d_from_snr)
            d_noise[i] = core::noise_at_snr(
                core::observed_power(in + i * d_parts * d_input, d_parts, d_input, d_observed),
                d_snr_db);
    }
}

// Fills d_noise; gives the measurements, which for repeated ones are the means of the two.
const float* estimate_impl::measure_noise(const float* in, int items)
{
    const std::size_t m = d_input * d_parts; // floats
    switch (d_source) {
    case source::parameter:
        std::fill_n(d_noise.begin(), items, d_noise_var);
        return in;
    case source::tag:
        noise_from_tags(in, items);
        return in;
    case source::null_carriers:
    case source::delay_tail:
        for (int i = 0; i < items; i++)
            d_noise[i] = (*d_blind)(in + i * m);
        return in;
    case source::repeated:
    case source::repeated_pairs:
        break;
    }
    for (int i = 0; i < items; i++) {
        const float* first = in + 2 * i * m;
        d_noise[i] = (*d_blind)(first, first + m, &d_mean_of_two[i * m]);
    }
    return d_mean_of_two.data();
}

} // namespace diffsem
} // namespace gr
