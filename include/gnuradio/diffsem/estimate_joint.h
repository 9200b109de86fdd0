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

//! Everything `estimate_joint` can be told besides the scheme; the defaults are those of Python.
struct estimate_joint_options {
    /*!
     * Where the noise variance comes from:
     * - "parameter": \p noise_var
     * - "tag": the last tag \p noise_tag (double); \p noise_var until the first one
     */
    std::string noise = "parameter";
    float noise_var = 0.1f; //!< E|n|^2 per complex element of the input
    std::string noise_tag = "diffsem_noise_var";
    std::size_t item_size = 0;     //!< M, elements of the measurement; 0: the scheme's
    std::vector<int> output_sizes; //!< elements of each unknown; empty: the scheme's
    int rounds = 0;                //!< 0: the scheme's own
    float eta = -1;                //!< of random samplers; < 0: the scheme's own
    uint64_t seed = 0;
    //! What conditional priors of the unknowns are told, {name: values}; each name to all that take it.
    std::map<std::string, std::vector<float>> condition;
    int max_batch = 16;           //!< items in a call
    bool variance_output = false; //!< an output more for each unknown
    bool tag_items = false;       //!< tags on every output item
    live_options live;
};

/*!
 * \brief Posterior estimate of several unknowns from one measurement, Y = B(a, b) + N.
 * \ingroup diffsem
 *
 * \details
 * Input: complex vectors of M elements, a measurement row by row (Y [receive, time] of the operator `mimo`).
 *
 * Outputs: for each unknown, in the order that the scheme names them (H, X), its estimate, complex vector, row by row; then,
 * with \p variance_output, for each its error variance E|x - estimate|^2, float vector, NaN where an item was bypassed.
 * Known elements (pilots) come out as they are known, with variance 0.
 *
 * Takes whatever waits, up to \p max_batch items at a time. An item that cannot be estimated (NaN or Inf, or a noise variance
 * that is not positive) is answered by least squares from its known elements, is counted, and with \p tag_items is tagged.
 *
 * Tags with \p tag_items, on the first output: `diffsem_steps` and `diffsem_planned` (long, evaluations of all priors),
 * `diffsem_noise_var` (double), `diffsem_bypassed` (symbol: why; only where it was), `diffsem_latency`, `diffsem_age` (double,
 * seconds), `diffsem_model` (symbol). Always: `diffsem_dropped` (uint64) on the first item after a gap. Input tags go to all
 * outputs.
 *
 * Message ports: `stats` and `scheme`, as of `estimate`.
 */
class DIFFSEM_API estimate_joint : virtual public gr::block
{
public:
    using sptr = std::shared_ptr<estimate_joint>;
    using options = estimate_joint_options;

    /*!
     * \throws core::Error (ValueError in Python) naming the parameter, its value and the remedy
     */
    static sptr make(scheme::sptr scheme, const estimate_joint_options& options = {});

    virtual void set_rounds(int rounds) = 0;         //!< live; 0: the scheme's own
    virtual void set_eta(float eta) = 0;             //!< live; < 0: the scheme's own
    virtual void set_seed(uint64_t seed) = 0;        //!< live
    virtual void set_noise_var(float noise_var) = 0; //!< live
    virtual void set_tag_items(bool tag_items) = 0;  //!< live
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
