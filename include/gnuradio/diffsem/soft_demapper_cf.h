/*
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#pragma once

#include <gnuradio/diffsem/api.h>
#include <gnuradio/digital/constellation.h>
#include <gnuradio/sync_interpolator.h>

#include <string>
#include <vector>

namespace gr {
namespace diffsem {

//! Everything `soft_demapper_cf` can be told besides the constellation.
struct soft_demapper_options {
    float noise_var = 1.0f;   //!< E|n|^2 per symbol until a tag says otherwise
    bool noise_input = false; //!< second input: the noise variance of each symbol (float)
    std::vector<std::vector<int>>
        occupied_carriers;         //!< as given to the serialiser; empty: no carriers
    int fft_len = 0;               //!< carriers of an OFDM symbol, if occupied_carriers are given
    int symbols_skipped = 0;       //!< where a packet starts in occupied_carriers
    bool input_is_shifted = true;  //!< order of the taps: index 0 is the lowest frequency
    std::string len_tag_key;       //!< length tag, multiplied by the bits of a symbol; empty: none
    std::string bit_order = "msb"; //!< bit of a symbol that comes out first: "msb" or "lsb"
    float scale = 1.0f;
    float clip = 0.0f; //!< largest magnitude, after scale; 0: none
};

/*!
 * \brief Max-log soft demapper with the noise variance of every symbol.
 * \ingroup diffsem
 *
 * \details
 * Input 0: equalised symbols (complex). Input 1 (with \p noise_input): noise variance of each (float).
 * Output: log-likelihood ratios (float), one for each bit:
 * L = (min over points with bit 0 of |y - x|^2 - min over points with bit 1) / noise variance.
 * **L > 0 means bit 1**, the sign of gr-fec's soft decisions. `fec.extended_decoder` multiplies by 48
 * and rounds into 0..255, so it clips at +-2.6: \p scale 0.3 makes good use of that range.
 *
 * Without \p noise_input the noise comes from tags, taken at the first symbol of a packet:
 * | key | value |
 * |---|---|
 * | `diffsem_noise_var` | double, v: per received carrier if there are taps, else per symbol |
 * | `ofdm_sync_chan_taps` | c32vector h (the frame equaliser's *propagate channel state*) |
 * | `diffsem_error_var` | f32vector e, optional: error variance of the taps |
 *
 * With \p occupied_carriers a symbol on carrier k has (v + e_k E|x|^2)/|h_k|^2. They hold until the next
 * packet's. Symbols are counted from the last tag of \p len_tag_key or `ofdm_sync_chan_taps`.
 *
 * The points of a `digital.constellation` are indexed by the bits of a symbol (by its pre-differential
 * code if it applies one). Names: "bpsk", "qpsk", "16qam", "64qam": Gray, as in IEEE 802.11, see
 * `diffsem.core.constellation_points`.
 */
class DIFFSEM_API soft_demapper_cf : virtual public gr::sync_interpolator
{
public:
    using sptr = std::shared_ptr<soft_demapper_cf>;
    using options = soft_demapper_options;

    //! \throws core::Error (ValueError in Python) naming the parameter, its value and the remedy
    static sptr make(const std::string& constellation, const soft_demapper_options& options = {});
    static sptr make(digital::constellation_sptr constellation,
                     const soft_demapper_options& options = {});

    virtual void set_noise_var(float noise_var) = 0; //!< live
    virtual void set_scale(float scale) = 0;         //!< live
    virtual void set_clip(float clip) = 0;           //!< live
    virtual int bits_per_symbol() const = 0;
};

} // namespace diffsem
} // namespace gr
