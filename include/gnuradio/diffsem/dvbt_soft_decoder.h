/*
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#pragma once

#include <gnuradio/block.h>
#include <gnuradio/diffsem/api.h>

#include <cstdint>

namespace gr {
namespace diffsem {

/*!
 * \brief The inner decoder of DVB-T from soft decisions.
 * \ingroup diffsem
 *
 * \details
 * Takes the place of `dtv.dvbt_demap`, `dvbt_symbol_inner_interleaver`, `dvbt_bit_inner_deinterleaver` and
 * `dvbt_viterbi_decoder` between `dvbt_demod_reference_signals(soft=True)` and `dtv.dvbt_convolutional_deinterleaver`. Each
 * carrier counts by its own noise, which makes 2 dB and more where some carriers fade (docs/dvbt.md).
 *
 * Input 0: payload of a symbol, \p nsize complex, with the tags `symbol_index` (where it is missing, symbols are counted) and
 * `superframe_start`. Input 1: noise variance of each, \p nsize floats; one that is not positive and finite says that nothing is
 * known. Output: octets, from the first superframe on, with the tag `superframe_start` on the first of each stretch; they
 * leave 128 at a time, up to 160 behind their symbols, and nothing stays inside at the end of the input. Bits before a new
 * `superframe_start` that make no whole octet are left out.
 *
 * Message port `stats`: symbols in, out (decoded), dropped (before a superframe began), about once a second.
 */
class DIFFSEM_API dvbt_soft_decoder : virtual public gr::block
{
public:
    using sptr = std::shared_ptr<dvbt_soft_decoder>;

    /*!
     * \param nsize             elements of an input item: 1512 (2k) or 6048
     * \param constellation     MOD_QPSK, MOD_16QAM, MOD_64QAM of gr-dtv: 0 .. 2
     * \param hierarchy         NH: 0; hierarchical modes are gr-dtv's own blocks' work
     * \param code_rate         C1_2, C2_3, C3_4, C5_6, C7_8: 3, 5, 6, 8, 9
     * \param transmission_mode T2k, T8k: 0, 1
     * \throws core::Error (ValueError in Python) naming the parameter, its value and the remedy
     */
    static sptr
    make(int nsize, int constellation, int hierarchy, int code_rate, int transmission_mode);

    virtual uint64_t items_in() const = 0; //!< symbols; = items_out() + items_dropped()
    virtual uint64_t items_out() const = 0;
    virtual uint64_t items_dropped() const = 0;
};

} // namespace diffsem
} // namespace gr
