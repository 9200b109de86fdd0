/*
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#pragma once

#include <gnuradio/block.h>
#include <gnuradio/diffsem/api.h>
#include <gnuradio/diffsem/scheme.h>

#include <cstdint>

namespace gr {
namespace diffsem {

//! How a signal of DVB-T is sent, as gr-dtv numbers it (`dvb_config.h`, `dvbt_config.h`).
struct dvbt_settings {
    int constellation = 0;                //!< MOD_QPSK, MOD_16QAM, MOD_64QAM: 0 .. 2
    int hierarchy = 0;                    //!< NH, ALPHA1, ALPHA2, ALPHA4: 0 .. 3
    int code_rate_HP = 3;                 //!< C1_2, C2_3, C3_4, C5_6, C7_8: 3, 5, 6, 8, 9
    int code_rate_LP = 3;                 //!< the same
    int guard_interval = 0;               //!< GI_1_32, GI_1_16, GI_1_8, GI_1_4: 0 .. 3
    int transmission_mode = 0;            //!< T2k, T8k: 0, 1
    int include_cell_id = 0, cell_id = 0; //!< taken, and of no use to a receiver
};

/*!
 * \brief Equalised payload of DVB-T, the channel followed over time and frequency.
 * \ingroup diffsem
 *
 * \details
 * Takes the place of `dtv.dvbt_demod_reference_signals`: behind an FFT (shifted, DC in the middle) of what a synchroniser
 * has cut out, before `dtv.dvbt_demap`. Symbols leave 12 later than they came (with a prior over tiles: as many as its
 * window wants), from the first superframe on; nothing stays inside at the end of the input.
 *
 * Without \p scheme the channel is `core::StationaryChannel`'s: Wiener filters whose powers of delay and Doppler are measured on
 * the signal, made for the rate of a broadcast. With one, it is that of the prior over tiles of 16 symbols x 64 carriers,
 * such as `ofdm_grid/robust`: for recordings, since it takes more time (docs/dvbt.md).
 *
 * With \p soft a second output has the noise variance of each element of the payload (float; infinite where nothing is known): for
 * `dvbt_soft_decoder`.
 *
 * Tags on the first output, as gr-dtv's: `symbol_index` (0 .. 67) on each symbol, `superframe_start` on the first one and on the first
 * after a loss. Tag `sync_start` on the input: symbols were lost before this one. They are seen to be lost without it too: by the
 * scattered pilots, and by the transmission parameters. A symbol with NaN or Inf leaves as zeros.
 *
 * What was said of the signal is compared with what its transmission parameters say; a difference is logged with what to set.
 * Message port `stats`: symbols in, out, dropped (before a superframe began), bypassed (not finite), and losses, noise_var, about once a second.
 */
class DIFFSEM_API dvbt_demod_reference_signals : virtual public gr::block
{
public:
    using sptr = std::shared_ptr<dvbt_demod_reference_signals>;

    /*!
     * \param itemsize of a complex number, 8
     * \param ninput   elements of an input item: 2048 (2k) or 8192
     * \param noutput  of an output item: 1512 or 6048
     * \param scheme   null: none
     * \param soft     a second output: noise
     * \throws core::Error (ValueError in Python) naming the parameter, its value and the remedy
     */
    static sptr make(int itemsize,
                     int ninput,
                     int noutput,
                     const dvbt_settings& settings,
                     scheme::sptr scheme = nullptr,
                     bool soft = false);

    virtual uint64_t items_in() const = 0; //!< = items_out() + items_dropped() + what waits inside
    virtual uint64_t items_out() const = 0;
    virtual uint64_t items_dropped() const = 0;
    virtual uint64_t
    losses() const = 0; //!< how often symbols were lost after a superframe was found
    virtual float noise_var() const = 0; //!< of a carrier of the input
};

} // namespace diffsem
} // namespace gr
