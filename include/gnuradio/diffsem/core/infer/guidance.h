/*
 * SPDX-License-Identifier: GPL-3.0-or-later
 *
 * How a prior becomes a posterior: the ways to condition a denoiser on a measurement, by name. condition.h runs them; a
 * sampler sees none of it.
 */
#pragma once

#include <gnuradio/diffsem/core/base/entry.h>
#include <gnuradio/diffsem/core/operators/operator.h>
#include <gnuradio/diffsem/core/priors/prior.h>

#include <cstddef>
#include <map>
#include <memory>
#include <string>
#include <vector>

namespace gr {
namespace diffsem {
namespace core {

//! What a guidance composes. The measurement changes with each batch, the operator with each picture.
struct GuidanceParts {
    std::shared_ptr<const Prior> prior;
    std::shared_ptr<const Operator> op;
    bool all_observed = true; //!< by the operator; single items may still have lost elements
    float inflation = 1;      //!< of the noise's variance, where D may have seen y already
    std::map<std::string, double> keys; //!< of the entry
    const Tensor* y = nullptr;
    const Sigma* noise = nullptr; //!< standard deviations

    double key(const char* name, double fallback) const;
};

//! One way of composing them. What a run changes is in the workspace.
class Guidance
{
public:
    virtual ~Guidance() = default;
    //! Of the posterior denoiser; a vector-Jacobian product counts as an evaluation.
    virtual Traits traits(const GuidanceParts& parts) const = 0;
    virtual std::unique_ptr<Workspace> make_workspace(const GuidanceParts& parts,
                                                      std::size_t max_batch) const = 0;
    //! (x, sigma) -> E[x0 | x = x0 + sigma n, y], as well as it can.
    virtual void denoise(const GuidanceParts& parts,
                         const Tensor& x,
                         const Sigma& sigma,
                         Workspace& workspace,
                         Estimate& out) const = 0;
    //! Name of the entry that answers at these levels.
    virtual const char* acting(const GuidanceParts& parts, const Sigma& sigma) const = 0;
    //! Another operator of the same kind and size takes the place of parts.op; workspaces stay good. False, and nothing
    //! changed, where it cannot. Not while another thread denoises.
    virtual bool replace(const Operator&) { return true; }
};

struct GuidanceEntry : Entry {
    //! Why it cannot compose these two, as the end of a sentence; empty: it can.
    std::string (*misfit)(const Prior& prior, const Operator& op);
    //! Of parts that fit. Throws Error for a key out of range.
    std::unique_ptr<Guidance> (*make)(const GuidanceParts& parts);
    //! E[x0 | x, y] itself, for every prior that it takes.
    bool exact = false;
    //! Claims that the deterministic mean (posterior_mean) of a Gaussian prior under a matrix is exact to 0.1 dB.
    bool exact_for_gaussians = false;
    //! Draws through it are spread as the posterior is (0.85 .. 1.15 at the scheme's plan: contract test); else draws are
    //! refused.
    bool draws = false;
};

//! In order of preference, as the contract tests found it: the first that fits is the default.
const std::vector<const GuidanceEntry*>& guidances();
//! Names of those that fit, with commas; only of those whose draws are the posterior's, where that is asked.
std::string fitting_guidances(const Prior& prior, const Operator& op, bool drawing = false);
const GuidanceEntry& default_guidance(const Prior& prior, const Operator& op);

//! Makes the guidance that was chosen (null: the default). Throws Error, with the remedy, where it does not fit.
std::unique_ptr<Guidance> make_guidance(const GuidanceEntry* chosen, const GuidanceParts& parts);

} // namespace core
} // namespace diffsem
} // namespace gr
