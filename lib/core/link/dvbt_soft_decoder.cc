/*
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#include <gnuradio/diffsem/core/link/dvbt_soft_decoder.h>

#include <gnuradio/diffsem/core/base/error.h>

#include <algorithm>
#include <cmath>
#include <string>

namespace gr {
namespace diffsem {
namespace core {

namespace {

constexpr std::size_t bit_block = 126;                             // of a bit interleaver, 4.3.4.1
constexpr std::size_t bit_shifts[] = {0, 63, 105, 42, 21, 84};     // of I0 .. I5
constexpr std::size_t order_2k[] = {4, 3, 9, 6, 2, 8, 1, 5, 7, 0}; // table 5: of bit 0 upwards
constexpr std::size_t order_8k[] = {7, 1, 4, 2, 9, 6, 8, 10, 0, 3, 11, 5};
// Table 3, X and Y of each step in turn; 0: not sent.
const char* const kept_bits[] = {"11", "1101", "110110", "1101100110", "11010101100110"};
constexpr float scale = 8; // of log-likelihood ratios: steps of an eighth, up to 64

} // namespace

std::vector<cfloat> dvbt_points(int bits)
{
    if (bits != 2 && bits != 4 && bits != 6)
        throw Error("constellation of " + std::to_string(bits) + " bits: DVB-T has 2, 4 and 6");
    const int per_axis = bits / 2, levels = 1 << per_axis;
    // Bits y0, y2, y4 of the real axis, y1, y3, y5 of the other: 0.. is the positive half, 00.. its far end, Gray inwards.
    const auto level = [&](int value, int from) {
        int place = 0, gray = 0;
        for (int b = from; b < bits; b += 2) {
            gray ^= value >> (bits - 1 - b) & 1;
            place = place << 1 | gray;
        }
        const int size = levels - 1 - 2 * place; // levels - 1 .. 1 - levels
        return static_cast<float>(size);
    };
    std::vector<cfloat> points;
    const float unit = std::sqrt(1.5f / float(levels * levels - 1));
    for (int value = 0; value < 1 << bits; value++)
        points.push_back(unit * cfloat(level(value, 0), level(value, 1)));
    return points;
}

std::vector<std::size_t> dvbt_cell_order(std::size_t cells)
{
    if (cells != 1512 && cells != 6048)
        throw Error("a symbol has " + std::to_string(cells) +
                    " cells of payload: DVB-T has 1512 (2k mode) and 6048 (8k mode)");
    const bool small = cells == 1512;
    const std::size_t width = small ? std::size(order_2k) : std::size(order_8k);
    const std::size_t* order = small ? order_2k : order_8k;
    std::vector<std::size_t> out;
    std::size_t bits = 0;
    for (std::size_t i = 0; i < std::size_t(2) << width; i++) {
        if (i == 2)
            bits = 1;
        if (i > 2) {
            const std::size_t fresh =
                small ? bits ^ bits >> 3 : bits ^ bits >> 1 ^ bits >> 4 ^ bits >> 6;
            bits = bits >> 1 | (fresh & 1) << (width - 1);
        }
        std::size_t place = i % 2 << width;
        for (std::size_t b = 0; b < width; b++)
            place |= (bits >> b & 1) << order[b];
        if (place < cells)
            out.push_back(place);
    }
    return out;
}

DvbtSoftDecoder::DvbtSoftDecoder(std::size_t cells, int bits, Rate rate)
    : d_demapper(dvbt_points(bits)),
      d_llr(cells * std::size_t(bits))
{
    make_places(cells, rate);
}

// Where in the code, before puncturing, each bit of a symbol's cells belongs.
void DvbtSoftDecoder::make_places(std::size_t cells, Rate rate)
{
    const auto bits = std::size_t(d_demapper.bits());
    const std::string kept = kept_bits[rate];
    std::vector<std::size_t> sent; // places in a period of the puncturing
    for (std::size_t i = 0; i < kept.size(); i++)
        if (kept[i] == '1')
            sent.push_back(i);
    d_soft.assign(cells * bits / sent.size() * kept.size(), 0);
    const auto order = dvbt_cell_order(cells);
    for (auto& places : d_places)
        places.resize(cells * bits);
    for (std::size_t n = 0; n < cells * bits; n++) {
        const std::size_t place = n / sent.size() * kept.size() + sent[n % sent.size()];
        // Demultiplexer and bit interleavers, 4.3.4.1.
        const std::size_t step = n / bits, i = n % bits;
        const std::size_t stream = i / (bits / 2) + 2 * (i % (bits / 2));
        const std::size_t word =
            step / bit_block * bit_block + (step + bit_block - bit_shifts[stream]) % bit_block;
        // Symbol interleaver, 4.3.4.2: y[H(q)] = y'[q] in even symbols, y[q] = y'[H(q)] in odd ones.
        d_places[0][order[word] * bits + stream] = std::uint32_t(place);
        d_places[1][word * bits + stream] = std::uint32_t(place);
    }
    // The odd ones were written by word: their cell q holds what belongs to word H(q).
    const auto by_word = d_places[1];
    for (std::size_t q = 0; q < cells; q++)
        std::copy_n(&by_word[order[q] * bits], bits, &d_places[1][q * bits]);
}

void DvbtSoftDecoder::begin()
{
    restart();
    d_octets.clear();
    d_taken = 0;
}

void DvbtSoftDecoder::push(const cfloat* payload, const float* noise, int index)
{
    const std::size_t bits = std::size_t(d_demapper.bits());
    d_demapper.run(payload,
                   noise,
                   d_llr.size() / bits,
                   scale,
                   float(ConvolutionalDecoder::most),
                   d_llr.data());
    const auto& places = d_places[std::size_t(index) % 2];
    for (std::size_t i = 0; i < d_llr.size(); i++)
        d_soft[places[i]] = static_cast<std::int16_t>(std::lrint(d_llr[i]));
    d_octets.erase(d_octets.begin(), d_octets.begin() + std::ptrdiff_t(d_taken));
    d_taken = 0;
    d_decoder.push(d_soft.data(), d_soft.size() / 2, d_octets);
}

void DvbtSoftDecoder::end()
{
    d_decoder.end(d_octets);
}

void DvbtSoftDecoder::pop(std::uint8_t* out, std::size_t n)
{
    std::copy_n(d_octets.begin() + std::ptrdiff_t(d_taken), n, out);
    d_taken += n;
}

} // namespace core
} // namespace diffsem
} // namespace gr
