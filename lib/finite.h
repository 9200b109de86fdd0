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
template <typename Bits>
bool all_finite_as(const void* data, std::size_t bytes, Bits exponent, Bits one)
{
    const auto* from = static_cast<const char*>(data);
    constexpr Bits sign = Bits(1) << (8 * sizeof(Bits) - 1);
    Bits overflow = 0;
    for (std::size_t i = 0; i < bytes; i += sizeof(Bits)) {
        Bits bits;
        std::memcpy(&bits, from + i, sizeof bits);
        overflow |= (bits & exponent) + one;
    }
    return !(overflow & sign);
}

template <typename Float>
bool any_nan_as(const void* data, std::size_t bytes)
{
    const auto* from = static_cast<const char*>(data);
    for (std::size_t i = 0; i < bytes; i += sizeof(Float)) {
        Float x;
        std::memcpy(&x, from + i, sizeof x);
        if (std::isnan(x))
            return true;
    }
    return false;
}

//! Of floats, or of doubles.
inline bool all_finite(const void* data, std::size_t bytes, bool doubles = false)
{
    return doubles
               ? all_finite_as<std::uint64_t>(data, bytes, 0x7ff0000000000000u, 0x0010000000000000u)
               : all_finite_as<std::uint32_t>(data, bytes, 0x7f800000u, 0x00800000u);
}

inline bool any_nan(const void* data, std::size_t bytes, bool doubles = false)
{
    return doubles ? any_nan_as<double>(data, bytes) : any_nan_as<float>(data, bytes);
}

} // namespace diffsem
} // namespace gr
