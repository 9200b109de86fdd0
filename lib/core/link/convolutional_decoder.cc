/*
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#include <gnuradio/diffsem/core/link/convolutional_decoder.h>

#include "base/vector_clones.h"

#include <algorithm>

namespace gr {
namespace diffsem {
namespace core {

namespace {

constexpr std::size_t half = 32;                 // of the states
constexpr unsigned memory = 6;                   // bits of a state; the newest is its lowest
constexpr unsigned polynomials[] = {0171, 0133}; // the newest bit is their uppermost

bool coded(unsigned polynomial, unsigned bit, unsigned state)
{
    bool out = bit & polynomial >> memory;
    for (unsigned i = 0; i < memory; i++)
        out ^= (state >> i & 1) & (polynomial >> (memory - 1 - i));
    return out;
}

/*
 * Steps of the trellis. States 2 i (bit 0) and 2 i + 1 (bit 1) come from i and i + 32. Both polynomials hold the newest and the
 * oldest bit, so the four branches of this butterfly are worth +m, -m, -m, +m, m being that from i by bit 0.
 *
 * \param signs of both soft decisions in m, 32 and 32
 * \param high  a byte for each state, first the even ones: did it come from i + 32?
 */
DIFFSEM_VECTOR_CLONES
void advance(const std::int16_t* soft,
             std::size_t steps,
             const std::int16_t* signs,
             std::int16_t* metrics,
             std::uint8_t* high)
{
    std::int16_t now[2 * half], even[half], odd[half], first[half], second[half];
    std::copy_n(metrics, 2 * half, now);
    std::copy_n(signs, half, first);
    std::copy_n(signs + half, half, second);
    for (std::size_t t = 0; t < steps; t++, soft += 2, high += 2 * half) {
        for (std::size_t i = 0; i < half; i++) {
            const auto m = static_cast<std::int16_t>(soft[0] * first[i] + soft[1] * second[i]);
            const auto even_low = static_cast<std::int16_t>(now[i] + m);
            const auto even_high = static_cast<std::int16_t>(now[i + half] - m);
            const auto odd_low = static_cast<std::int16_t>(now[i] - m);
            const auto odd_high = static_cast<std::int16_t>(now[i + half] + m);
            const auto even_gain = static_cast<std::int16_t>(even_high - even_low);
            const auto odd_gain = static_cast<std::int16_t>(odd_high - odd_low);
            even[i] = even_gain > 0 ? even_high : even_low;
            odd[i] = odd_gain > 0 ? odd_high : odd_low;
            high[i] = even_gain > 0;
            high[i + half] = odd_gain > 0;
        }
        for (std::size_t i = 0; i < half; i++) {
            now[2 * i] = even[i];
            now[2 * i + 1] = odd[i];
        }
    }
    std::copy_n(now, 2 * half, metrics);
}

} // namespace

ConvolutionalDecoder::ConvolutionalDecoder() : d_high(kept * states), d_bits(kept)
{
    for (unsigned k = 0; k < 2; k++)
        for (unsigned i = 0; i < half; i++)
            d_signs[half * k + i] = coded(polynomials[k], 0, i) ? 1 : -1;
}

void ConvolutionalDecoder::restart()
{
    d_metrics.fill(0);
    d_steps = 0;
}

void ConvolutionalDecoder::push(const std::int16_t* soft,
                                std::size_t steps,
                                std::vector<std::uint8_t>& out)
{
    while (steps > 0) {
        const std::size_t n = std::min(steps, kept - d_steps);
        advance(soft, n, d_signs.data(), d_metrics.data(), &d_high[d_steps * states]);
        d_steps += n;
        soft += 2 * n;
        steps -= n;
        if (d_steps == kept)
            decide(block, out);
    }
}

void ConvolutionalDecoder::end(std::vector<std::uint8_t>& out)
{
    decide(d_steps / 8 * 8, out);
    restart();
}

// The path that ends in the best state, of which the oldest `count` bits go out.
void ConvolutionalDecoder::decide(std::size_t count, std::vector<std::uint8_t>& out)
{
    unsigned state = 0;
    for (unsigned s = 1; s < states; s++)
        if (static_cast<std::int16_t>(d_metrics[s] - d_metrics[state]) > 0)
            state = s;
    for (std::size_t t = d_steps; t-- > 0;) {
        d_bits[t] = state & 1;
        const std::uint8_t* high = &d_high[t * states];
        state = state >> 1 | unsigned(high[(state & 1) * half + (state >> 1)]) << (memory - 1);
    }
    for (std::size_t t = 0; t < count; t += 8) {
        unsigned octet = 0;
        for (std::size_t i = 0; i < 8; i++)
            octet = octet << 1 | d_bits[t + i];
        out.push_back(static_cast<std::uint8_t>(octet));
    }
    d_steps -= count;
    std::copy_n(d_high.begin() + std::ptrdiff_t(count * states), d_steps * states, d_high.begin());
}

} // namespace core
} // namespace diffsem
} // namespace gr
