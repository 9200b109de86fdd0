/*
 * SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Guidances that are E[x0 | x, y] itself.
 */
#include "infer/guidance_space.h"

#include <algorithm>
#include <cmath>
#include <vector>

namespace gr {
namespace diffsem {
namespace core {

namespace {

/*
 * A selects elements. x and y then are two looks at the same element, which together are one look of precision
 * 1/sigma^2 + 1/e^2, so the prior alone answers (theory.md, eq. 4). A prior of one level for the item can do that only where
 * the looks leave one level; else, of such a prior, the proximal step takes over.
 */
class Combined : public Guidance
{
public:
    Traits traits(const GuidanceParts& parts) const override { return parts.prior->traits(); }
    std::unique_ptr<Workspace> make_workspace(const GuidanceParts& parts,
                                              std::size_t max_batch) const override
    {
        auto s = std::make_unique<GuidanceSpace>();
        s->inner = parts.prior->make_workspace(max_batch);
        s->x = Tensor(parts.prior->traits().domain, shape_of(parts), max_batch);
        s->sigma = Sigma(max_batch, parts.op->cols());
        s->scratch.resize(parts.op->scratch_size());
        return s;
    }
    const char* acting(const GuidanceParts& parts, const Sigma& sigma) const override
    {
        return fits(parts, sigma) ? combined_guidance().name : proximal_guidance().name;
    }
    void denoise(const GuidanceParts& parts,
                 const Tensor& x,
                 const Sigma& sigma,
                 Workspace& workspace,
                 Estimate& out) const override
    {
        auto& space = static_cast<GuidanceSpace&>(workspace);
        if (fits(parts, sigma))
            combine(parts, x, sigma, space, out);
        else
            proximal_step(parts, x, sigma, space, out);
    }

private:
    static bool one_level(const GuidanceParts& parts, const Sigma& sigma)
    {
        return parts.all_observed && !parts.noise->per_element() && !sigma.per_element();
    }
    static bool fits(const GuidanceParts& parts, const Sigma& sigma)
    {
        return parts.prior->traits().tensor_sigma || one_level(parts, sigma);
    }
    static void combine(const GuidanceParts& parts,
                        const Tensor& x,
                        const Sigma& sigma,
                        GuidanceSpace& space,
                        Estimate& out)
    {
        const std::uint8_t* observed = parts.op->observed();
        const Tensor& y = *parts.y;
        const Sigma& noise = *parts.noise;
        const std::size_t n = x.elements(), width = x.width() / n;
        const bool one = one_level(parts, sigma);
        space.x.set_batch(x.batch());
        space.sigma.resize(x.batch(), one ? 1 : n);
        for (std::size_t b = 0; b < x.batch(); b++)
            for (std::size_t i = 0; i < n; i++) {
                // 1/inf^2 = 0: a look that saw nothing has no weight, and its value is not read.
                const double wx = 1.0 / std::pow(double(sigma.at(b, i)), 2);
                const double wy =
                    !observed || observed[i] ? 1.0 / std::pow(double(noise.at(b, i)), 2) : 0.0;
                const double w = wx + wy;
                for (std::size_t j = width * i; j < width * (i + 1); j++) {
                    const double sum =
                        (wx > 0 ? wx * x.item(b)[j] : 0.0) + (wy > 0 ? wy * y.item(b)[j] : 0.0);
                    space.x.item(b)[j] = w > 0 ? float(sum / w) : 0.0f;
                }
                if (!one || i == 0)
                    space.sigma.item(b)[i] =
                        w > 0 ? float(1.0 / std::sqrt(w)) : Sigma::unobserved();
            }
        parts.prior->denoise(space.x, space.sigma, *space.inner, out);
    }
};

// The prior itself knows E[x0 | x, y]: of a closed form, x and y are one look through [I; A].
class Joint : public Guidance
{
public:
    explicit Joint(std::unique_ptr<JointDenoiser> joint) : d_joint(std::move(joint)) {}
    Traits traits(const GuidanceParts& parts) const override { return parts.prior->traits(); }
    std::unique_ptr<Workspace> make_workspace(const GuidanceParts& parts,
                                              std::size_t max_batch) const override
    {
        auto s = std::make_unique<GuidanceSpace>();
        const std::size_t rows = parts.op->cols() + parts.op->rows();
        s->inner = d_joint->make_workspace(max_batch);
        s->x = Tensor(parts.prior->traits().domain, {std::int64_t(rows)}, max_batch);
        s->sigma = Sigma(max_batch, rows);
        return s;
    }
    const char* acting(const GuidanceParts&, const Sigma&) const override
    {
        return joint_guidance().name;
    }
    bool replace(const Operator& op) override
    {
        if (!op.blocks().values)
            return false;
        d_joint->replace(op);
        return true;
    }
    void denoise(const GuidanceParts& parts,
                 const Tensor& x,
                 const Sigma& sigma,
                 Workspace& workspace,
                 Estimate& out) const override
    {
        auto& space = static_cast<GuidanceSpace&>(workspace);
        const std::size_t n = parts.op->cols(), m = parts.op->rows(),
                          width = x.width() / x.elements();
        space.x.set_batch(x.batch());
        space.sigma.resize(x.batch(), n + m);
        for (std::size_t b = 0; b < x.batch(); b++) {
            std::copy(x.item(b), x.item(b) + width * n, space.x.item(b));
            std::copy(parts.y->item(b), parts.y->item(b) + width * m, space.x.item(b) + width * n);
            for (std::size_t i = 0; i < n + m; i++)
                space.sigma.item(b)[i] = i < n ? sigma.at(b, i) : parts.noise->at(b, i - n);
        }
        d_joint->denoise(space.x, space.sigma, *space.inner, out);
    }

private:
    std::unique_ptr<JointDenoiser> d_joint;
};

} // namespace

const GuidanceEntry& combined_guidance()
{
    static const GuidanceEntry e{
        {"combined",
         "Exact where the operator keeps elements apart: x and y are one look of less noise. Costs "
         "one evaluation. Needs a prior with a level for every element, or everything measured.",
         {}},
        [](const Prior& prior, const Operator& op) -> std::string {
            if (!op.keeps_elements_apart())
                return "it needs an operator that keeps elements apart";
            const std::uint8_t* observed = op.observed();
            const bool all =
                !observed ||
                std::all_of(observed, observed + op.rows(), [](std::uint8_t o) { return o != 0; });
            return prior.traits().tensor_sigma || all
                       ? ""
                       : "its prior takes one noise level for the whole item, and elements are "
                         "missing";
        },
        [](const GuidanceParts&) -> std::unique_ptr<Guidance> {
            return std::make_unique<Combined>();
        },
        true,
        true,
        true};
    return e;
}

const GuidanceEntry& joint_guidance()
{
    static const GuidanceEntry e{
        {"joint",
         "Exact where the prior is a closed form (gaussian, gmm) and the operator a matrix: the "
         "conditional mean of both together. Costs one evaluation.",
         {}},
        [](const Prior& prior, const Operator& op) -> std::string {
            return op.blocks().values && prior.joint(op)
                       ? ""
                       : "it needs a prior in closed form and an operator that is a matrix";
        },
        [](const GuidanceParts& parts) -> std::unique_ptr<Guidance> {
            return std::make_unique<Joint>(parts.prior->joint(*parts.op));
        },
        true,
        true,
        true};
    return e;
}

} // namespace core
} // namespace diffsem
} // namespace gr
