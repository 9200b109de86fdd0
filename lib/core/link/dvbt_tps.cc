/*
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#include <gnuradio/diffsem/core/link/dvbt_tps.h>

#include <algorithm>

namespace gr {
namespace diffsem {
namespace core {

namespace {

constexpr unsigned generator =
    0x4377; // x^14 + x^9 + x^8 + x^6 + x^5 + x^4 + x^2 + x + 1 (4.6.2.11)
constexpr int check_bits = 14;
constexpr std::size_t message_bits = DvbtTps::bits - check_bits;
constexpr unsigned sync_word = 0x35ee; // of even frames; inverted in odd ones
constexpr std::size_t sync_bits = 16;
constexpr int sync_errors = 2;
constexpr unsigned length_with_cell = 0x1f; // 4.6.2.3

// Bits from .. from + count - 1, counted as in the standard from s1 = 1.
unsigned number(const std::array<std::uint8_t, DvbtTps::bits>& word, std::size_t from, int count)
{
    unsigned out = 0;
    for (int i = 0; i < count; i++)
        out = out << 1 | word[from - 1 + std::size_t(i)];
    return out;
}

void put(std::array<std::uint8_t, DvbtTps::bits>& word, std::size_t from, int count, unsigned value)
{
    for (int i = 0; i < count; i++)
        word[from - 1 + std::size_t(i)] = value >> (count - 1 - i) & 1;
}

} // namespace

DvbtTps::DvbtTps() : d_errors(1u << check_bits, -1)
{
    Word one{}, other{};
    d_errors[0] = 0;
    for (std::size_t i = 0; i < bits; i++) {
        one[i] = 1;
        const unsigned first = syndrome(one);
        d_errors[first] = static_cast<std::int16_t>(i + 1);
        for (std::size_t k = 0; k < i; k++) {
            other[k] = 1;
            d_errors[first ^ syndrome(other)] = static_cast<std::int16_t>((i + 1) * 128 + k + 1);
            other[k] = 0;
        }
        one[i] = 0;
    }
}

// The remainder of the word, divided by the generator.
unsigned DvbtTps::syndrome(const Word& word)
{
    unsigned reg = 0;
    for (const unsigned bit : word) {
        reg = reg << 1 | bit;
        if (reg >> check_bits & 1)
            reg ^= 1u << check_bits | (generator & ((1u << check_bits) - 1));
    }
    return reg;
}

std::array<std::uint8_t, DvbtTps::bits> DvbtTps::word(const DvbtParameters& p)
{
    Word out{};
    put(out, 1, 16, p.frame % 2 ? sync_word ^ 0xffff : sync_word);
    put(out, 17, 6, length_with_cell);
    put(out, 23, 2, unsigned(p.frame));
    put(out, 25, 2, unsigned(p.constellation));
    put(out, 27, 3, unsigned(p.hierarchy));
    put(out, 30, 3, unsigned(p.rate_high));
    put(out, 33, 3, unsigned(p.rate_low));
    put(out, 36, 2, unsigned(p.guard));
    put(out, 38, 2, unsigned(p.mode));
    put(out, message_bits + 1, check_bits, syndrome(out)); // x^14 m(x) + its remainder
    return out;
}

bool DvbtTps::correct(Word& word) const
{
    const int errors = d_errors[syndrome(word)];
    if (errors < 0)
        return false;
    for (const int at : {errors % 128, errors / 128})
        if (at)
            word[std::size_t(at - 1)] ^= 1;
    return true;
}

bool DvbtTps::push(bool bit)
{
    std::copy(d_last.begin() + 1, d_last.end(), d_last.begin());
    d_last.back() = bit;
    d_seen = std::min(d_seen + 1, bits);
    if (d_seen < bits)
        return false;
    int odd = 0;
    for (std::size_t i = 0; i < sync_bits; i++)
        odd += d_last[i] != (sync_word >> (sync_bits - 1 - i) & 1);
    const bool is_odd = odd >= int(sync_bits) - sync_errors;
    if (odd > sync_errors && !is_odd)
        return false;
    Word word = d_last;
    if (!correct(word))
        return false;
    const unsigned frame = number(word, 23, 2);
    if (number(word, 1, 16) != (is_odd ? sync_word ^ 0xffff : sync_word) || (frame & 1) != is_odd)
        return false;
    d_parameters.frame = int(frame);
    d_parameters.constellation = int(number(word, 25, 2));
    d_parameters.hierarchy = int(number(word, 27, 3));
    d_parameters.rate_high = int(number(word, 30, 3));
    d_parameters.rate_low = int(number(word, 33, 3));
    d_parameters.guard = int(number(word, 36, 2));
    d_parameters.mode = int(number(word, 38, 2));
    return true;
}

} // namespace core
} // namespace diffsem
} // namespace gr
