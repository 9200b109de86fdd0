/*
 * SPDX-License-Identifier: GPL-3.0-or-later
 *
 * D(x, sigma) then argmin |y - A x|^2 / e^2 + |x - D|^2 / r^2, the half quadratic splitting of DiffPIR (Zhu et al. 2023,
 * eq. 13), with r^2 the variance that the prior states, or sigma^2 / (1 + sigma^2), what a unit-power white prior would
 * leave (Song et al. 2023, PiGDM, app. A.3): for each element where the operator takes that, else their mean. e^2 is the
 * noise's variance times the inflation, since D may have seen y already. An approximation: it takes what D left for white.
 */
#include "infer/guidance_space.h"

#include <algorithm>
#include <cmath>

namespace gr {
namespace diffsem {
namespace core {

namespace {

constexpr double least_variance =
    1e-12; // of the prior's answer: a proximal step must be able to divide by it

class Proximal : public Guidance
{
public:
    Traits traits(const GuidanceParts& parts) const override
    {
        Traits t = parts.prior->traits();
        if (!parts.op->level_per_element())
            t.variance = t.tensor_sigma = false;
        return t;
    }
    std::unique_ptr<Workspace> make_workspace(const GuidanceParts& parts,
                                              std::size_t max_batch) const override
    {
        auto s = std::make_unique<GuidanceSpace>();
        prepare(*s, parts, max_batch, {});
        s->sigma = Sigma(max_batch, 1);
        return s;
    }
    const char* acting(const GuidanceParts&, const Sigma&) const override
    {
        return proximal_guidance().name;
    }
    void denoise(const GuidanceParts& parts,
                 const Tensor& x,
                 const Sigma& sigma,
                 Workspace& workspace,
                 Estimate& out) const override
    {
        proximal_step(parts, x, sigma, static_cast<GuidanceSpace&>(workspace), out);
    }
};

} // namespace

void proximal_step(const GuidanceParts& parts,
                   const Tensor& x,
                   const Sigma& sigma,
                   GuidanceSpace& space,
                   Estimate& out)
{
    const Operator& op = *parts.op;
    const bool wanted = out.want_variance;
    out.want_variance = true;
    parts.prior->denoise(x, sigma, *space.inner, out);
    out.want_variance = wanted;
    const std::size_t n = x.elements();
    const bool each = op.level_per_element();
    const auto left = [&](std::size_t b, std::size_t i) {
        if (out.has_variance)
            return double(out.variance[b * n + i]);
        const double s2 = std::pow(double(sigma.at(b, i)), 2);
        return std::isfinite(s2) ? s2 / (1.0 + s2) : 1.0;
    };
    space.sigma.resize(x.batch(), each ? n : 1);
    for (std::size_t b = 0; b < x.batch(); b++) {
        double mean = 0;
        for (std::size_t i = 0; i < n; i++) {
            if (each)
                space.sigma.item(b)[i] = float(std::sqrt(left(b, i)));
            else
                mean += left(b, i) / double(n);
        }
        if (!each)
            space.sigma.item(b)[0] = float(std::sqrt(std::max(mean, least_variance)));
    }
    const Sigma* noise = parts.noise;
    if (parts.inflation != 1) {
        space.inflated.resize(noise->batch(), noise->stride());
        for (std::size_t i = 0; i < noise->batch() * noise->stride(); i++)
            space.inflated.item(0)[i] = noise->item(0)[i] * std::sqrt(parts.inflation);
        noise = &space.inflated;
    }
    op.proximal(*parts.y, *noise, out.mean, space.sigma, out.mean, space.scratch.data());
    if (each) // else the prior's variance no longer describes the mean
        op.proximal_variance(*noise, space.sigma, out.variance.data());
    out.has_variance = each;
}

const GuidanceEntry& proximal_guidance()
{
    static const GuidanceEntry e{
        {"proximal",
         "Half-quadratic splitting (Zhu et al. 2023, eq. 13): the prior's mean, then the "
         "operator's "
         "proximal step, with a level for each coefficient behind `transform`. Costs one "
         "evaluation; takes the error of the prior's mean for white.",
         {}},
        [](const Prior&, const Operator& op) -> std::string {
            return op.has_proximal() ? "" : "the operator has no proximal step";
        },
        [](const GuidanceParts&) -> std::unique_ptr<Guidance> {
            return std::make_unique<Proximal>();
        }};
    return e;
}

} // namespace core
} // namespace diffsem
} // namespace gr
