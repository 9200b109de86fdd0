/*
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#pragma once

#include <gnuradio/diffsem/api.h>
#include <gnuradio/diffsem/core/link/pilot_equaliser.h>
#include <gnuradio/digital/ofdm_equalizer_base.h>

#include <memory>
#include <vector>

namespace gr {
namespace diffsem {

//! Everything `ofdm_equalizer_diffsem` can be told besides the FFT length; the defaults are those of Python.
struct ofdm_equalizer_options {
    //! As for `digital.ofdm_carrier_allocator_cvc`; empty: all
    std::vector<std::vector<int>> occupied_carriers;
    std::vector<std::vector<int>> pilot_carriers; //!< alike; empty: the phase is not followed
    //! Their values; either list is gone through again when it ends
    std::vector<std::vector<gr_complex>> pilot_symbols;
    //! Symbols of the frame taken off before (the header): where to start in the lists
    int symbols_skipped = 0;
    bool input_is_shifted = true; //!< index 0 is the lowest frequency, not DC
    /*!
     * 0: the phase of each symbol by itself; 1: a straight line over the frame; between: neighbours weighted by
     * phase_memory^distance
     */
    float phase_memory = 0.8f;
};

/*!
 * \brief Equaliser for `digital.ofdm_frame_equalizer_vcvc` that keeps the channel estimate it is given.
 * \ingroup diffsem
 *
 * \details
 * Divides each symbol by the estimate of the frame (tag `ofdm_sync_chan_taps`), turned by the phase
 * common to all carriers of that symbol. The phase comes from the pilots: least squares over them,
 * each weighted by its power |h p|^2, then averaged over neighbouring symbols after the constant step
 * of a residual carrier offset is taken out. The symbols stay soft, the pilots too.
 *
 * gr-digital's `ofdm_equalizer_simpledfe` replaces, with its default alpha of 0.1, nine tenths of the
 * estimate at every symbol, and gives hard decisions unless told otherwise; `ofdm_equalizer_static`
 * overwrites the pilot carriers' taps and follows no phase. Behind neither does a better estimate
 * show.
 *
 * A channel that changes within a frame is not followed: the estimate holds to its end.
 *
 * Noise of the equalised symbols: carrier k has (v + e_k E|x|^2)/|h_k|^2, where v is the noise variance
 * of the received carriers and e_k the error variance of the estimate. An equaliser cannot write
 * tags, but the frame equaliser hands on those of `ofdm_chanest_vcvc` (`extra_tags="error"`) and, with
 * *propagate channel state*, the taps: `soft_demapper_cf` computes the noise from these three.
 *
 * The state after a frame (which the frame equaliser hands to the payload) is the estimate turned
 * by the phase of the frame's last symbol.
 */
class DIFFSEM_API ofdm_equalizer_diffsem : public digital::ofdm_equalizer_1d_pilots
{
public:
    using sptr = std::shared_ptr<ofdm_equalizer_diffsem>;

    /*!
     * \param fft_len carriers of a symbol
     * \throws core::Error (ValueError in Python) naming the parameter, its value and the remedy
     */
    static sptr make(int fft_len, const ofdm_equalizer_options& options = {});
    ~ofdm_equalizer_diffsem() override;

    void equalize(gr_complex* frame,
                  int n_sym,
                  const std::vector<gr_complex>& initial_taps = std::vector<gr_complex>(),
                  const std::vector<tag_t>& tags = std::vector<tag_t>()) override;

    void set_phase_memory(float phase_memory); //!< live
    float phase_memory() const;

private:
    ofdm_equalizer_diffsem(int fft_len, const ofdm_equalizer_options& options);
    std::vector<core::PilotEqualiser::Pilots> pilots() const;

    core::PilotEqualiser d_equaliser;
};

} // namespace diffsem
} // namespace gr
