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

namespace core {
class TrackingEqualiser;
struct TrackingLayout;
} // namespace core

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
    /*!
     * Points that the data carriers hold: of the first symbol that this equaliser gets, the second, ...; the last ones go
     * on. With them the channel is followed inside the frame; empty: the first estimate holds.
     */
    std::vector<std::vector<gr_complex>> constellations;
    int delay_window =
        0; //!< longest delay of the channel in samples (the cyclic prefix); 0: fft_len/4
};

/*!
 * \brief Equaliser for `digital.ofdm_frame_equalizer_vcvc` that keeps the channel estimate it is given, and follows it.
 * \ingroup diffsem
 *
 * \details
 * Divides each symbol by the estimate of the frame (tag `ofdm_sync_chan_taps`), turned by the phase
 * common to all carriers of that symbol. The phase comes from the pilots: least squares over them,
 * each weighted by its power |h p|^2, then averaged over neighbouring symbols after the constant step
 * of a residual carrier offset is taken out. The symbols stay soft, the pilots too.
 *
 * With *constellations* the estimate is followed symbol by symbol, by the pilots and by what the data probably were
 * (core::ChannelTracker): a channel that stands still is averaged over the frame, one that moves is followed, carriers
 * support each other as far as delays within *delay_window* say. Noise and the error of the first estimate are read
 * from the tags `diffsem_noise_var` and `diffsem_error_var` of the frame; without them they are estimated. Without
 * constellations the first estimate holds to the frame's end.
 *
 * gr-digital's `ofdm_equalizer_simpledfe` replaces, with its default alpha of 0.1, nine tenths of the
 * estimate at every symbol, and gives hard decisions unless told otherwise; `ofdm_equalizer_static`
 * overwrites the pilot carriers' taps and follows no phase. Behind neither does a better estimate
 * show.
 *
 * Noise of the equalised symbols: carrier k has (v + e_k E|x|^2)/|h_k|^2, where v is the noise variance
 * of the received carriers and e_k the error variance of the estimate. An equaliser cannot write
 * tags, but the frame equaliser hands on those of `ofdm_chanest_vcvc` (`extra_tags="error"`) and, with
 * *propagate channel state*, the taps: `soft_demapper_cf` computes the noise from these three.
 *
 * The state after a frame (which the frame equaliser hands to the payload) is the estimate turned
 * by the phase of the frame's last symbol; the last symbol's, where it is followed.
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

    void reset() override;
    void set_phase_memory(float phase_memory); //!< live
    float phase_memory() const;

private:
    ofdm_equalizer_diffsem(int fft_len, const ofdm_equalizer_options& options);
    std::vector<core::PilotEqualiser::Pilots> pilots() const;
    core::TrackingLayout layout(const ofdm_equalizer_options& options) const;
    void follow(gr_complex* frame, int n_sym, const std::vector<tag_t>& tags);

    const pmt::pmt_t d_noise_key, d_error_key;
    core::PilotEqualiser d_equaliser;
    std::unique_ptr<core::TrackingEqualiser> d_tracking; // with constellations
    std::size_t d_symbol;                                // of the frame, the next one to come
};

} // namespace diffsem
} // namespace gr
