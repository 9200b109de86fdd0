/*
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#include <gnuradio/diffsem/core/link/clip.h>

#include <cmath>
#include <limits>

namespace gr {
namespace diffsem {
namespace core {

float clip_limit(double papr_db, double mean_power)
{
    return static_cast<float>(mean_power * std::pow(10.0, papr_db / 10));
}

std::size_t clip(const cfloat* in, cfloat* out, std::size_t n, float limit)
{
    constexpr float infinite = std::numeric_limits<float>::infinity();
    std::size_t clipped = 0;
    for (std::size_t i = 0; i < n; i++) {
        const cfloat x = in[i];
        const float power = std::norm(x);
        out[i] = x;
        if (power <= limit && power < infinite)
            continue;
        // What no number says becomes nothing; std::abs does not overflow where std::norm does.
        const float magnitude = std::abs(x);
        if (!(magnitude < infinite))
            out[i] = 0;
        else if (power > limit)
            out[i] *= std::sqrt(limit) / magnitude;
        else
            continue;
        clipped++;
    }
    return clipped;
}

} // namespace core
} // namespace diffsem
} // namespace gr
