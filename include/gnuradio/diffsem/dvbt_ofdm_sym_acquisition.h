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
 * \brief Cuts OFDM symbols out of a stream and takes the carrier offset out, by their guard intervals, where echoes are strong.
 * \ingroup diffsem
 *
 * \details
 * Takes the place of `dtv.dvbt_ofdm_sym_acquisition`, before the FFT; for other signals with a cyclic prefix too. The place is told by
 * `core::GuardSync` from averages over many symbols: two echoes of equal power anywhere in the guard interval leave it
 * where both are inside, and a fade does not lose it. The first 12 symbols or so find it, and do not leave.
 *
 * Output: symbols of \p fft_length samples without their guard intervals, carriers off by whole spacings at the most. Tag
 * `sync_start` on the first symbol after the place was found.
 * Nothing is found: once in ten seconds a sentence in the log. Message port `stats`: locked, coherence (SNR / (1 + SNR)),
 * offset (in the spacing of carriers), losses, about once a second.
 */
class DIFFSEM_API dvbt_ofdm_sym_acquisition : virtual public gr::block
{
public:
    using sptr = std::shared_ptr<dvbt_ofdm_sym_acquisition>;

    /*!
     * \param blocks         1, as in gr-dtv
     * \param fft_length     samples of a symbol: 2048 or 8192 in DVB-T
     * \param occupied_tones carriers in use; checked, and not needed
     * \param cp_length      samples of the guard interval
     * \param snr            dB, expected; checked, and not needed
     * \throws core::Error (ValueError in Python) naming the parameter, its value and the remedy
     */
    static sptr make(int blocks, int fft_length, int occupied_tones, int cp_length, float snr);

    virtual bool locked() const = 0;
    virtual float offset() const = 0;    //!< of the carriers, in their spacing, -0.5 .. 0.5
    virtual float coherence() const = 0; //!< 0 .. 1: SNR / (1 + SNR)
    virtual uint64_t losses() const = 0; //!< how often the place was lost
};

} // namespace diffsem
} // namespace gr
