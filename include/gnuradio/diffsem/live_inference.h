/*
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#pragma once

#include <gnuradio/diffsem/api.h>

#include <cstdint>
#include <string>

namespace gr {
namespace diffsem {

//! How inference behaves against the clock and in trouble; see docs/realtime.md.
struct live_options {
    /*!
     * Milliseconds from when an item's last sample entered the flowgraph (left its source or a throttle) to its output; 0: none.
     */
    double deadline = 0;
    /*!
     * What happens when inference is slower than the input:
     * - "wait": items come late, and upstream is held back (for recordings)
     * - "fewer_steps": the plan is cut to what fits; where not one evaluation does, as "bypass". Not for plain graphs
     * - "bypass": the classical estimate passes, of a plain graph the input, tagged
     * - "drop": the item goes no further; the next one says how many are missing. Not offered where a
     *   receiver waits for each frame's answer, or windows overlap
     */
    std::string overload = "wait";
    //! Failed inferences in a row after which the scheme is switched off until another is set; 0: never.
    int fault_limit = 16;
};

/*!
 * \brief What every inference block can be asked and told while it runs.
 * \ingroup diffsem
 *
 * Messages on port `stats`, a dictionary about once a second: `block` (symbol), `in`, `out`, `dropped`,
 * `bypassed`, `guarded`, `few_observed`, `faults`, `swaps`, `queue` (items that wait, those further up too, as many as their samples make), `calls`
 * (uint64; in = out + dropped), `rate` (double, items/s), `age_p50`, `age_p99` (double, s, as `deadline` counts), `steps`
 * (double, evaluations an item, mean), these four since the last one; `age_from` (symbol, the block from which ages count),
 * `age_whole` (bool: nothing waits before it that is not seen, as PDUs do); `noise_var` (double, of the last item, if any), `deadline` (double, s), `overload`, `scheme`,
 * `model` (symbols; as model() says), `disabled` (bool). When something happens, a dictionary with
 * `block`, `event` (`swapped`, `swap_failed`, `disabled`), `scheme` and `reason`.
 */
class DIFFSEM_API live_inference
{
public:
    virtual ~live_inference() = default;

    virtual void set_deadline(double milliseconds) = 0;         //!< live; 0: none
    virtual void set_overload(const std::string& overload) = 0; //!< live
    virtual void set_fault_limit(int faults) = 0;               //!< live; 0: never switched off

    virtual uint64_t items_in() const = 0; //!< = items_out() + items_dropped()
    virtual uint64_t items_out() const = 0;
    virtual uint64_t items_dropped() const = 0;
    virtual uint64_t items_bypassed() const = 0; //!< of those out
    //! Of those out: the estimate contradicted its measurement, and the scheme's fallback took over.
    virtual uint64_t items_guarded() const = 0;
    //! Of those out: fewer elements were observed than the scheme's member is for, and its fallback answered.
    virtual uint64_t items_few_observed() const = 0;
    virtual uint64_t faults() const = 0; //!< inferences that failed
    virtual uint64_t swaps() const = 0;
    virtual bool disabled() const = 0; //!< switched off after too many faults in a row
    //! Seconds, as `deadline` counts, that this share (0..1) of the items kept, since the start.
    virtual double age_quantile(double share) const = 0;
    //! The same age: the longest.
    virtual double age_max() const = 0;
    //! What runs: 12 hex digits of its content hash, and its member: "6c852dfc2200/diffusion"; empty for `ls`.
    virtual std::string model() const = 0;
};

} // namespace diffsem
} // namespace gr
