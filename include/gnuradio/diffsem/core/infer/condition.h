/*
 * SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Conditioning is composition: a prior, an operator and a measurement make another denoiser.
 */
#pragma once

#include <gnuradio/diffsem/core/infer/guidance.h>

#include <cstddef>
#include <map>
#include <memory>
#include <string>

namespace gr {
namespace diffsem {
namespace core {

//! (x, sigma) -> E[x0 | x = x0 + sigma n, y = A x0 + e], as well as the guidance can (guidance.h).
class PosteriorDenoiser : public Denoiser
{
public:
    //! \param guidance null: the default for the pair. Throws Error where it does not fit them.
    PosteriorDenoiser(std::shared_ptr<const Prior> prior,
                      std::shared_ptr<const Operator> op,
                      float inflation = 1,
                      const GuidanceEntry* guidance = nullptr,
                      std::map<std::string, double> keys = {});
    //! Another operator of the same kind and size, perhaps the same object with other numbers; workspaces stay good. False,
    //! and nothing changed, where a closed form has no use for it.
    bool replace(std::shared_ptr<const Operator> op);
    const GuidanceEntry& guidance() const { return *d_entry; }
    //! Guidances that fit the pair and whose draws are the posterior's, with commas; empty: none.
    std::string drawing() const { return fitting_guidances(*d_parts.prior, *d_parts.op, true); }
    //! Of the last proximal step in a workspace: the deviations with which the prior's answer entered it.
    static const Sigma& prior_levels(const Workspace& workspace);
    //! y (rows() elements an item) and the standard deviation of its noise; both must outlive use.
    void measure(const Tensor& y, const Sigma& noise);
    //! Which guidance answers, given the levels it is asked for and those of the measurement.
    const char* acting(const Sigma& sigma) const;

    const Traits& traits() const override { return d_traits; }
    std::unique_ptr<Workspace> make_workspace(std::size_t max_batch) const override;
    void denoise(const Tensor& x,
                 const Sigma& sigma,
                 Workspace& workspace,
                 Estimate& out) const override;

private:
    void find_observed();

    GuidanceParts d_parts;
    const GuidanceEntry* d_entry;
    std::unique_ptr<Guidance> d_guidance;
    Traits d_traits;
};

std::unique_ptr<PosteriorDenoiser> condition(std::shared_ptr<const Prior> prior,
                                             std::shared_ptr<const Operator> op,
                                             const Tensor& y,
                                             const Sigma& noise);

} // namespace core
} // namespace diffsem
} // namespace gr
