/*
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#pragma once

#include <gnuradio/diffsem/api.h>
#include <gnuradio/diffsem/frame_sync_cvc.h>
#include <gnuradio/sync_block.h>

namespace gr {
namespace diffsem {

/*!
 * \brief Equalised frames of a semantic link as PDUs, each symbol with its own noise variance.
 * \ingroup diffsem
 *
 * \details
 * Input: OFDM symbols of fft_len carriers behind a frame equaliser, as `frame_sync_cvc` made them, with its
 * tags and those of `ofdm_chanest_vcvc` (`extra_tags="error"`) and of the equaliser (*propagate
 * channel state*, for the taps) on the first symbol of each frame.
 *
 * The phase that a clock error leaves (in proportion to carrier and time) is fitted to pilots and header,
 * whose symbols are known, and turned back; what then remains on them measures the noise,
 * of each carrier and of each OFDM symbol (core/link/carrier_noise.h): what interference, a gap or a gain step
 * hits has more of it, and so have symbols some of whose samples were impulses (tag `diffsem_lost`).
 *
 * Message port `pdus`: a pair of a dictionary (`id`, `total`, `index`, `digital`: longs; `snr_db`: double,
 * mean |h|^2 over noise, per data carrier; `noise_var`: f32vector, one value a symbol, (noise +
 * estimate error)/|h|^2 for symbols of unit power; `carrier_offset`: double, carrier spacings; `clock_error`:
 * double, samples per sample; `start`: uint64, sample) and a c32vector of the payload's symbols.
 *
 * Message port `stats`, about once a second: `in` (frames begun), `out`, `dropped` (a frame that was cut short, or
 * came without its tags).
 */
class DIFFSEM_API frame_to_pdu : virtual public gr::sync_block
{
public:
    using sptr = std::shared_ptr<frame_to_pdu>;

    //! \throws core::Error (ValueError in Python) naming what does not fit
    static sptr make(const frame_format& format);

    virtual uint64_t frames_in() const = 0;
    virtual uint64_t frames_out() const = 0;
    virtual uint64_t frames_dropped() const = 0;
};

} // namespace diffsem
} // namespace gr
