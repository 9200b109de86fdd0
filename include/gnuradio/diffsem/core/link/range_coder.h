/*
 * SPDX-License-Identifier: GPL-3.0-or-later
 *
 * The decoder of an adaptive binary arithmetic coder in 32-bit integers. Its encoder and its twin are
 * gr_diffsem.codec.range_coder; both read the same bits out of the same octets.
 */
#pragma once

#include <cstddef>
#include <cstdint>

namespace gr {
namespace diffsem {
namespace core {

//! Probability of a 1, in 1/65536; learns with weight 1 / (count + 2) until the count reaches its limit.
class RangeContext
{
public:
    explicit RangeContext(int p = 1 << 15) : d_p(p) {}
    int p() const { return d_p; }
    void learn(bool bit);

private:
    int d_p, d_count = 6;
};

//! Reads from octets that must outlive it; zeros follow their end, so it never runs out.
class RangeDecoder
{
public:
    RangeDecoder(const std::uint8_t* data, std::size_t size);
    bool bit(RangeContext& context);
    //! An unsigned number of `count` <= 31 equally likely bits, the highest first.
    int bits(int count);
    /*!
     * A number >= 0: the length of value + 1 in unary (the last context serves all longer ones), then its lower
     * bits. Throws Error above 2^25, which no picture has.
     */
    int golomb(RangeContext* contexts, int n_contexts);
    //! Any integer: magnitude by golomb(), then a raw sign.
    int signed_number(RangeContext* contexts, int n_contexts);

private:
    bool decide(std::uint32_t p);
    std::uint32_t next();

    const std::uint8_t* d_data;
    std::size_t d_size, d_at = 0;
    std::uint32_t d_low = 0, d_high = 0xFFFFFFFF, d_value = 0;
};

} // namespace core
} // namespace diffsem
} // namespace gr
