/*
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#pragma once

#include <gnuradio/block.h>
#include <gnuradio/diffsem/api.h>

#include <cstdint>
#include <string>
#include <vector>

namespace gr {
namespace diffsem {

//! The OFDM frame that both ends of a semantic link agree on, in gr-digital's terms.
struct frame_format {
    int fft_len = 64;
    int cp_len = 16;
    //! One set of data carriers and one of pilots, counted from DC, negative below it.
    std::vector<std::vector<int>> occupied_carriers;
    std::vector<std::vector<int>> pilot_carriers;
    std::vector<std::vector<gr_complex>> pilot_symbols;
    //! Two sync words in the frequency domain, shifted order, magnitude 1 on all carriers in use.
    std::vector<std::vector<gr_complex>> sync_words;
    int frame_symbols = 50; //!< OFDM symbols of a full payload, header not counted
};

/*!
 * \brief Finds the frames of a semantic link and reads their headers.
 * \ingroup diffsem
 *
 * \details
 * Samples in; for each frame 1 + H + F vectors of fft_len carriers out (frequency domain, shifted
 * order): both sync words combined into one (as if sync_reference() had been sent), H header symbols,
 * and the payload, filled up with zeros to the F = frame_symbols of a full frame. Behind it go
 * `ofdm_chanest_vcvc` (sync word: sync_reference(), H + F data symbols, largest offset 0), a frame
 * equaliser with `ofdm_equalizer_diffsem`, and `frame_to_pdu`.
 *
 * A known-preamble correlator (core/link/preamble.h) finds frames by their energy in all paths, at any
 * carrier offset up to max_offset; the offset is refined on the preamble, then on pilots, and removed.
 * The header is decoded from soft bits (core/link/frame_header.h); one that fails in a fade is compared
 * with those that can follow the last one. A frame without a header is not passed on.
 *
 * Tags on the first vector of a frame: `diffsem_frame` (dict of longs `id`, `total`, `index`, `digital`),
 * `frame_len` (long, H + F), `diffsem_carrier_offset` (double, carrier spacings), `diffsem_start`
 * (uint64, sample of the frame's first prefix), `diffsem_score` (double, over the threshold), and
 * `diffsem_lost` (f32vector, share of the samples of each symbol that were impulses) where there were any.
 *
 * Before anything is looked for, impulses are set to 0, and lines (DC, carriers) and what lies outside the
 * carriers in use are filtered out, where they are strong (core/link/impulse_blanker.h, interference_filter.h).
 * What else looks like preambles and has no header is paid for from an allowance of one in 400 samples;
 * beyond it only higher scores are looked at, so that the cost is bounded whatever is received.
 *
 * Message port `stats`, about once a second: `in` (preambles found), `out`, `dropped` (found without a
 * header: false alarms and lost frames; one that is on its way counts here until its end has come),
 * `recognised` (of those out, by the expected header), `blanked` (samples that were no
 * numbers, or absurdly large: taken as 0), `impulses` (samples set to 0), `skipped` (weak preambles, left
 * out to bound the cost), `interference` (what is filtered out now: DC, tone, neighbour), `hint` (where no
 * frame is found, what of the sender's settings was seen to differ: a mirrored spectrum, two or three times
 * the rate or a half or third of it, another prefix; core/link/link_probe.h).
 */
class DIFFSEM_API frame_sync_cvc : virtual public gr::block
{
public:
    using sptr = std::shared_ptr<frame_sync_cvc>;

    /*!
     * \param format      the frames
     * \param max_offset  largest carrier offset, carrier spacings, 0 to 3
     * \param false_alarm probability per sample that noise alone is taken for a preamble; what then has
     *                    no header costs time only
     * \throws core::Error (ValueError in Python) naming the parameter, its value and the remedy
     */
    static sptr
    make(const frame_format& format, float max_offset = 2.25f, double false_alarm = 1e-3);

    //! What the combined sync word is the reception of: sqrt(2) on the carriers in use.
    virtual std::vector<gr_complex> sync_reference() const = 0;
    virtual int header_symbols() const = 0;
    virtual uint64_t frames_found() const = 0;      //!< preambles
    virtual uint64_t frames_out() const = 0;        //!< of those, with a header
    virtual uint64_t frames_recognised() const = 0; //!< of those, by the expected header
    virtual uint64_t preambles_skipped() const = 0; //!< weak ones, left out to bound the cost
    virtual std::string hint() const = 0; //!< why no frame may be found; "": nothing is known
};

} // namespace diffsem
} // namespace gr
