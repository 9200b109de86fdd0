/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <gnuradio/diffsem/core/link/range_coder.h>

#include <gnuradio/diffsem/core/base/error.h>

#include <algorithm>

namespace gr {
namespace diffsem {
namespace core {

namespace {

constexpr int count_limit = 60;
constexpr int longest = 24; // of a Golomb number, in bits

} // namespace

void RangeContext::learn(bool bit)
{
    d_p += ((bit ? 65535 : 0) - d_p) / (d_count + 2); // towards zero
    d_p = std::min(std::max(d_p, 256), 65280);
    d_count = std::min(d_count + 1, count_limit);
}

RangeDecoder::RangeDecoder(const std::uint8_t* data, std::size_t size) : d_data(data), d_size(size)
{
    for (int i = 0; i < 4; i++)
        d_value = d_value << 8 | next();
}

std::uint32_t RangeDecoder::next()
{
    return d_at < d_size ? d_data[d_at++] : 0;
}

bool RangeDecoder::decide(std::uint32_t p)
{
    const std::uint32_t split = d_low + ((d_high - d_low) >> 16) * p;
    const bool bit = d_value <= split;
    if (bit)
        d_high = split;
    else
        d_low = split + 1;
    while (!((d_low ^ d_high) & 0xFF000000)) {
        d_low <<= 8;
        d_high = d_high << 8 | 0xFF;
        d_value = d_value << 8 | next();
    }
    return bit;
}

bool RangeDecoder::bit(RangeContext& context)
{
    const bool bit = decide(std::uint32_t(context.p()));
    context.learn(bit);
    return bit;
}

int RangeDecoder::bits(int count)
{
    int value = 0;
    for (int i = 0; i < count; i++)
        value = 2 * value + decide(1 << 15);
    return value;
}

int RangeDecoder::golomb(RangeContext* contexts, int n_contexts)
{
    int n = 0;
    while (bit(contexts[std::min(n, n_contexts - 1)]))
        if (++n > longest)
            throw Error(
                "a number of the digital part is out of range: its bytes are not a picture's");
    return (1 << n) + bits(n) - 1;
}

int RangeDecoder::signed_number(RangeContext* contexts, int n_contexts)
{
    const int magnitude = golomb(contexts, n_contexts);
    return magnitude && bits(1) ? -magnitude : magnitude;
}

} // namespace core
} // namespace diffsem
} // namespace gr
