/*
 * SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Numbers that are none, in buffers. Private.
 */
#pragma once

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>

namespace gr {
namespace diffsem {

/*
 * NaN and Inf have an exponent of all ones: one more overflows into the sign's bit. Integers without
 * a branch, which compilers vectorise; std::isfinite one by one would cost as much as a small net.
 */
inline bool all_finite(const void* data, std::size_t bytes)
{
    const auto* from = static_cast<const char*>(data);
    std::uint32_t overflow = 0;
    for (std::size_t i = 0; i < bytes; i += sizeof(float)) {
        std::uint32_t bits;
        std::memcpy(&bits, from + i, sizeof bits);
        overflow |= (bits & 0x7f800000u) + 0x00800000u;
    }
    return !(overflow & 0x80000000u);
}

inline bool any_nan(const void* data, std::size_t bytes)
{
    const auto* from = static_cast<const char*>(data);
    for (std::size_t i = 0; i < bytes; i += sizeof(float)) {
        float x;
        std::memcpy(&x, from + i, sizeof x);
        if (std::isnan(x))
            return true;
    }
    return false;
}

} // namespace diffsem
} // namespace gr
