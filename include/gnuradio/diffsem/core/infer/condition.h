/*
 * SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Conditioning is composition: a prior, an operator and a measurement make another denoiser.
 */
#pragma once

#include <gnuradio/diffsem/core/operators/operator.h>
#include <gnuradio/diffsem/core/priors/prior.h>

#include <cstddef>
#include <memory>

namespace gr {
namespace diffsem {
namespace core {

/*!
 * (x, sigma) -> E[x0 | x = x0 + sigma n, y = A x0 + e].
 *
 * - `combined`, exact: A selects elements. x and y then are two looks at the same element, which
 *   together are one look of precision 1/sigma^2 + 1/e^2, so the prior alone answers. Needs a prior
 *   with a level for every element (or one level for the item, everything measured).
 * - `joint`, exact: A is dense and the prior knows the answer itself (Gaussian, mixture).
 * - `proximal`, approximate: D(x, sigma) then argmin |y - A x|^2 / e^2 + |x - D|^2 / r^2, the half
 *   quadratic splitting of DiffPIR (Zhu et al. 2023, eq. 13), with r^2 the variance that the prior
 *   states, or sigma^2 / (1 + sigma^2), what a unit-power white prior would leave (Song et al. 2023,
 *   PiGDM, app. A.3): for each element where the operator takes that, else their mean. e^2 is the
 *   noise's variance times the inflation, since D may have seen y already.
 */
class PosteriorDenoiser : public Denoiser
{
public:
    enum class Method { combined, joint, proximal };

    PosteriorDenoiser(std::shared_ptr<const Prior> prior,
                      std::shared_ptr<const Operator> op,
                      float inflation = 1);
    //! Another operator of the same kind and size, perhaps the same object with other numbers; workspaces stay good. False,
    //! and nothing changed, where a closed form has no use for it.
    bool replace(std::shared_ptr<const Operator> op);
    //! Of the last proximal step in a workspace: the deviations with which the prior's answer entered it.
    static const Sigma& prior_levels(const Workspace& workspace);
    //! y (rows() elements an item) and the standard deviation of its noise; both must outlive use.
    void measure(const Tensor& y, const Sigma& noise);
    //! How it conditions, given the levels it is asked for and those of the measurement.
    Method method(const Sigma& sigma) const;

    const Traits& traits() const override { return d_traits; }
    std::unique_ptr<Workspace> make_workspace(std::size_t max_batch) const override;
    void denoise(const Tensor& x,
                 const Sigma& sigma,
                 Workspace& workspace,
                 Estimate& out) const override;

private:
    struct Space;
    void find_observed();
    void combined(const Tensor& x, const Sigma& sigma, Space&, Estimate&) const;
    void joint(const Tensor& x, const Sigma& sigma, Space&, Estimate&) const;
    void proximal(const Tensor& x, const Sigma& sigma, Space&, Estimate&) const;

    std::shared_ptr<const Prior> d_prior;
    std::shared_ptr<const Operator> d_op;
    std::unique_ptr<JointDenoiser> d_joint;
    Traits d_traits;
    bool d_all_observed = false;
    float d_inflation;
    const Tensor* d_y = nullptr;
    const Sigma* d_noise = nullptr;
};

std::unique_ptr<PosteriorDenoiser> condition(std::shared_ptr<const Prior> prior,
                                             std::shared_ptr<const Operator> op,
                                             const Tensor& y,
                                             const Sigma& noise);

} // namespace core
} // namespace diffsem
} // namespace gr
