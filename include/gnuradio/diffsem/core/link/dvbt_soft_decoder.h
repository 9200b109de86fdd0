/*
 * SPDX-License-Identifier: GPL-3.0-or-later
 *
 * From equalised payload of DVB-T and its noise to the octets of the outer code (EN 300 744 4.3.3 to 4.3.5).
 */
#pragma once

#include <gnuradio/diffsem/core/base/types.h>
#include <gnuradio/diffsem/core/link/convolutional_decoder.h>
#include <gnuradio/diffsem/core/link/demap.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace gr {
namespace diffsem {
namespace core {

/*!
 * Soft demapper, both inner deinterleavers, depuncturing, Viterbi decoder. Each bit counts by what its carrier's noise leaves of
 * it, which is what hard decisions throw away: a carrier in a fade says little, and no more than that.
 *
 * The octets are those of gr-dtv's decoders in the same place: the first of a stretch is the first of a superframe.
 */
class DvbtSoftDecoder
{
public:
    //! Puncturing, in the order of the standard's table 3.
    enum Rate { rate_1_2, rate_2_3, rate_3_4, rate_5_6, rate_7_8 };

    /*!
     * \param cells of a symbol: 1512 (2k) or 6048 (8k), else Error
     * \param bits  of a cell: 2, 4 or 6, uniform
     */
    DvbtSoftDecoder(std::size_t cells, int bits, Rate rate);

    //! Another stream follows: nothing of the last one leaves any more.
    void begin();
    //! The next symbol begins a superframe; nothing of what came before is joined to it.
    void restart() { d_decoder.restart(); }
    /*!
     * \param payload cells values, the constellation's mean power is 1
     * \param noise   variance of each; one that is not positive and finite: nothing is known of its cell
     * \param index   of the symbol in its frame
     */
    void push(const cfloat* payload, const float* noise, int index);
    //! Nothing more comes before restart(): what waits is decided.
    void end();

    double octets_each() const { return double(d_soft.size()) / 16; } //!< of a symbol
    std::size_t available() const { return d_octets.size() - d_taken; }
    //! So many octets, available() at the most.
    void pop(std::uint8_t* out, std::size_t n);
    bool waiting() const
    {
        return d_decoder.waiting() > 0;
    } //!< end() would give more, but for less than an octet

private:
    void make_places(std::size_t cells, Rate rate);

    const MaxLogDemapper d_demapper;
    std::array<std::vector<std::uint32_t>, 2>
        d_places; // of each bit, in symbols of even and odd index
    std::vector<float> d_llr;
    std::vector<std::int16_t> d_soft; // what is not sent stays 0
    ConvolutionalDecoder d_decoder;
    std::vector<std::uint8_t> d_octets;
    std::size_t d_taken = 0;
};

//! Points of the uniform constellations of DVB-T (4.3.5), of mean power 1: index = bits, the first uppermost. \p bits 2, 4 or 6.
std::vector<cfloat> dvbt_points(int bits);

//! Where cell q of symbols with an even index comes from (4.3.4.2): H(q), a permutation. \p cells 1512 or 6048.
std::vector<std::size_t> dvbt_cell_order(std::size_t cells);

} // namespace core
} // namespace diffsem
} // namespace gr
