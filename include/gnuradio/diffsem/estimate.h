/*
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#pragma once

#include <gnuradio/block.h>
#include <gnuradio/diffsem/api.h>
#include <gnuradio/diffsem/live_inference.h>
#include <gnuradio/diffsem/scheme.h>

#include <cstdint>
#include <map>
#include <string>
#include <vector>

namespace gr {
namespace diffsem {

//! Everything `estimate` can be told besides the scheme; the defaults are those of Python.
struct estimate_options {
    /*!
     * Where the noise variance comes from:
     * - "parameter": \p noise_var
     * - "tag": the last tag \p noise_tag (double, noise variance) or `snr` (double, dB; the noise is then
     *   the measured power over 1 + SNR); \p noise_var until the first one
     * - "null_carriers": mean power on \p null_carriers, where nothing is sent
     * - "repeated": an input item holds two receptions of the measurement, one after the other
     * - "repeated_pairs": two input items are receptions of the same; one output item for each pair
     * - "delay_tail": what a channel response cannot have beyond \p delay_window samples of delay
     */
    std::string noise = "parameter";
    float noise_var = 0.1f; //!< E|n|^2 per complex element of the input
    std::string noise_tag = "diffsem_noise_var";
    std::vector<int> null_carriers;
    float delay_window = 0;    //!< samples; 0: N/4
    float noise_averaging = 1; //!< weight of the newest blind estimate, above 0 to 1 (no memory)
    //! How far the guard trusts a variance from \p noise_var or a tag: elements of noise that it was measured on, so an
    //! error of 1 / sqrt(noise_freedom); 0: it is exact. Blind estimates know theirs.
    float noise_freedom = 0;
    std::vector<int> observed; //!< indices that are measured; empty: all but null_carriers
    std::size_t item_size = 0; //!< N; 0: the scheme's
    std::vector<gr_complex>
        matrix;     //!< M x N, row major, for the operator `matrix`; empty: the package's
    int steps = 0;  //!< 0: the scheme's own
    float eta = -1; //!< < 0: the scheme's own
    uint64_t seed = 0;
    int max_batch = 64; //!< items per inference
    //! `complex` or `real`: the scheme must be of that domain; empty: whichever it is of.
    std::string domain;
    //! What a conditional prior is told, {name: values}, in the place of what the scheme's string says.
    std::map<std::string, std::vector<float>> condition;
    //! Real elements of the content that the scheme's codec makes of its latent; 0: the scheme's.
    std::size_t content_size = 0;
    int draws = 0; //!< of each item, from its posterior, at an output of their own; 0: none
    bool variance_output = false;
    bool baseline_output = false;
    bool latent_output = false; //!< of a scheme with a codec: the latent that was inferred
    bool tag_items = false;     //!< tags on every output item
    live_options live;
};

/*!
 * \brief Posterior estimate of vectors under a learned prior.
 * \ingroup diffsem
 *
 * \details
 * Input: vectors y = A x + n of M elements (M = N unless the operator is a matrix; 2M with
 * `noise = "repeated"`), complex, or float where the scheme is of real data; so are estimate and baseline. For the mode
 * "delay_tail" elements are carriers in order of frequency, complex only.
 *
 * Outputs, in this order, the last three as asked for:
 * - the estimate, vector of N, in the units of the input; of a scheme with a codec the content that it makes of it, a
 *   float vector of its size (docs/openings/latents.md)
 * - error variance, float vector of N: E|x - estimate|^2 in those units squared; NaN where unknown
 * - classical baseline, vector of N: the measurement where there is one (the mean of the two
 *   for repeated ones), 0 elsewhere; least squares through the matrix if there is one; of a scheme with a codec its
 *   content
 * - the latent that was inferred, vector of N, of a scheme with a codec
 * - \p draws draws from the posterior of each item, one after the other: a vector of K N. The scheme's sampler must draw
 *
 * Takes whatever waits, up to \p max_batch items at a time, and never waits for more. An item that
 * cannot be estimated (NaN or Inf, or a noise variance that is not positive) passes as it is, is
 * counted, and with \p tag_items is tagged. So is one whose estimate contradicts its measurement: the scheme's
 * fallback answers in its place (docs/model_contract.md, "The guard").
 *
 * Tags with \p tag_items: `diffsem_steps` and `diffsem_planned` (long, evaluations of the prior taken, and had nothing
 * been cut), `diffsem_noise_var` (double, as used), `diffsem_bypassed` (symbol: why; only where it was), `diffsem_guarded`
 * (symbol: who answered in the place of a refuted estimate; only there), `diffsem_latency`
 * (double, seconds from the call that took the item to its output), `diffsem_age` (double, seconds since it arrived),
 * `diffsem_model` (symbol, see live_inference::model()). Always: `diffsem_dropped` (uint64) on the first item
 * after a gap, how many are missing. Input tags are kept; those of dropped items move to the next.
 *
 * Of a conditional prior: the tag `diffsem_condition` (a dict from names to numbers or uniform vectors) says what it is
 * told from its item on, and `diffsem_reset` makes it forget the stream's previous answer. With \p noise_var infinite,
 * and a scheme that begins in noise, nothing is measured: each item is a draw of the prior.
 *
 * Message ports: `stats` (see live_inference; pairs count as one item), and `scheme`: a symbol, or a pair of
 * the symbol `scheme` and one, is loaded beside the running scheme and takes its place between two items; if it cannot be had or
 * has other sizes or another domain, the running one stays, and `stats` says why; and `condition`: a dict as in the tag,
 * or a PDU with it as metadata, for the items to come.
 */
class DIFFSEM_API estimate : virtual public gr::block
{
public:
    using sptr = std::shared_ptr<estimate>;
    using options = estimate_options;

    /*!
     * \throws core::Error (ValueError in Python) naming the parameter, its value and the remedy
     */
    static sptr make(scheme::sptr scheme, const estimate_options& options = {});

    virtual void set_steps(int steps) = 0;           //!< live; 0: the scheme's own
    virtual void set_eta(float eta) = 0;             //!< live; < 0: the scheme's own
    virtual void set_seed(uint64_t seed) = 0;        //!< live
    virtual void set_noise_var(float noise_var) = 0; //!< live
    virtual void set_tag_items(bool tag_items) = 0;  //!< live
    //! Live: what a conditional prior is told. \throws core::Error for an unknown name or values that do not fit
    virtual void set_condition(const std::string& name, const std::vector<float>& values) = 0;
    /*!
     * Live: loads and tries it in the caller's thread, then puts it in the place of the running one.
     * \throws core::Error when it cannot be had or has other sizes; the running one stays
     */
    virtual void set_scheme(scheme::sptr scheme) = 0;

    virtual float noise_var() const = 0; //!< used for the last item
    virtual live_inference& live() = 0;  //!< deadline, overload policy, counters
};

} // namespace diffsem
} // namespace gr
