/*
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#pragma once

#include <gnuradio/block.h>
#include <gnuradio/diffsem/api.h>
#include <gnuradio/diffsem/live_inference.h>
#include <gnuradio/diffsem/scheme.h>

#include <cstdint>
#include <string>
#include <vector>

namespace gr {
namespace diffsem {

//! What `ofdm_chanest_vcvc` can be told besides scheme and frame; the defaults are those of Python.
struct ofdm_chanest_options {
    /*!
     * Samples that the channel may last, for the noise where no carrier is empty; 0: N/4. (Has no effect in
     * `digital.ofdm_chanest_vcvc`.)
     */
    int eq_noise_red_len = 0;
    int max_carr_offset = -1;           //!< largest carrier offset tried; -1: all possible
    bool force_one_sync_symbol = false; //!< only the first sync word is sent
    float noise_var = 0;                //!< noise variance per input carrier; 0: measure it
    /*!
     * "auto" (none with `ls`, else noise), "none", "noise", "error" (noise and error variance: what soft_demapper_cf
     * needs), "all"
     */
    std::string extra_tags = "auto";
    int steps = 0;     //!< evaluations of the prior; 0: the scheme's own
    uint64_t seed = 0; //!< of random schemes; two blocks with one seed draw the same noise
    live_options live; //!< deadline and what happens behind it; "drop" is not offered
};

/*!
 * \brief Channel estimation for OFDM from one or two sync words, under a learned prior.
 * \ingroup diffsem
 *
 * \details
 * Takes the place of `digital.ofdm_chanest_vcvc`: the same input, outputs, tags and parameters, plus
 * a scheme. With scheme `ls` it gives what that block gives, bit for bit. With any other scheme the
 * taps are the posterior estimate given the least-squares taps of the sync word's carriers, for all
 * N carriers, and the noise variance is measured on each frame.
 *
 * Input: OFDM symbols in the frequency domain, N carriers in shifted order (index N/2 is DC), one or
 * two sync words followed by \p n_data_symbols.
 *
 * Output 0: the data symbols, unchanged. Output 1 (optional): the taps, one vector a frame.
 *
 * Tags on the first data symbol of a frame:
 * | key | value |
 * |---|---|
 * | `ofdm_sync_carr_offset` | long, carriers by which the spectrum is shifted (even) |
 * | `ofdm_sync_chan_taps` | c32vector of N, corrected for that shift |
 * | `diffsem_noise_var` | double, noise variance per carrier of the *input* (see \p extra_tags) |
 * | `diffsem_error_var` | f32vector of N, E|h - estimate|^2 of the taps |
 * | `diffsem_bypassed` | symbol, only if the estimate failed, came too late or was refuted and the taps are least squares: why |
 * | `diffsem_few_observed` | symbol, only if fewer carriers are observed than the scheme's member is for: who answered in its place |
 * | `diffsem_guarded` | symbol, only if the estimate contradicted the sync word: who answered in its place (a member, or `ls`) |
 * | `diffsem_steps`, `diffsem_planned` | long, evaluations taken, and had nothing been cut |
 * | `diffsem_latency`, `diffsem_age` | double, seconds from the call that took the frame, and from its entering the flowgraph, to its output |
 * | `diffsem_model` | symbol, see live_inference::model() |
 *
 * Tags on a sync word move to the first data symbol; all others stay with their symbol.
 *
 * The noise is measured on the carriers that the first sync word leaves empty between its first and
 * its last one (every second, after Schmidl & Cox), without DC; where there are fewer than four, on
 * the tail of the delay response, behind \p eq_noise_red_len samples.
 *
 * Message ports: `stats` (see live_inference; items are frames), and `scheme`: a symbol, or a pair of the symbol `scheme`
 * and one, is loaded beside the running scheme and takes its place between two frames; if it cannot be had, the running one
 * stays, and `stats` says why. Receivers wait for each frame's answer, so no frame is ever dropped.
 */
class DIFFSEM_API ofdm_chanest_vcvc : virtual public gr::block
{
public:
    using sptr = std::shared_ptr<ofdm_chanest_vcvc>;

    /*!
     * \param scheme         what makes the estimate: of as many elements as the FFT has, or over tiles of symbols x
     *                       carriers, which take any length (a sync word is one symbol)
     * \param sync_symbol1   first sync word in the frequency domain, N values
     * \param sync_symbol2   second one, N values, or empty
     * \param n_data_symbols symbols behind each set of sync words, at least 1
     * \throws core::Error (ValueError in Python) naming the parameter, its value and the remedy
     */
    static sptr make(scheme::sptr scheme,
                     const std::vector<gr_complex>& sync_symbol1,
                     const std::vector<gr_complex>& sync_symbol2,
                     int n_data_symbols,
                     const ofdm_chanest_options& options = {});

    virtual void set_steps(int steps) = 0;           //!< live
    virtual void set_eta(float eta) = 0;             //!< live; < 0: the scheme's own
    virtual void set_seed(uint64_t seed) = 0;        //!< live
    virtual void set_noise_var(float noise_var) = 0; //!< live; 0: measure it
    /*!
     * Live: loads and tries it in the caller's thread, then puts it in the place of the running one.
     * \throws core::Error when it cannot be had or does not fit; the running one stays
     */
    virtual void set_scheme(scheme::sptr scheme) = 0;
    virtual live_inference& live() = 0; //!< deadline, overload policy, counters (of frames)
};

} // namespace diffsem
} // namespace gr
