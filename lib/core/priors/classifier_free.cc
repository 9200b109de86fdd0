/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "priors/classifier_free.h"

#include <algorithm>
#include <stdexcept>
#include <string>
#include <vector>

namespace gr {
namespace diffsem {
namespace core {

namespace {

class ClassifierFree : public Prior
{
public:
    ClassifierFree(std::shared_ptr<const Prior> prior, float scale)
        : d_prior(std::move(prior)),
          d_traits(d_prior->traits()),
          d_scale(scale)
    {
        d_traits.evaluations *= 2;
    }

    const char* type() const override { return d_prior->type(); }
    const Traits& traits() const override { return d_traits; }

    std::unique_ptr<Workspace> make_workspace(std::size_t max_batch) const override
    {
        auto space = std::make_unique<Space>();
        space->inner = d_prior->make_workspace(2 * max_batch);
        space->inner->context = &space->told;
        space->x = Tensor(d_traits.domain, d_traits.shape, 2 * max_batch);
        space->sigma = Sigma(2 * max_batch, d_traits.tensor_sigma ? space->x.elements() : 1);
        if (d_prior->has_vjp())
            space->v = space->pulled = space->x;
        space->both = Estimate(d_traits.domain, d_traits.shape, 2 * max_batch);
        for (const SideInput& input : d_traits.conditions)
            space->told.add(input.name, nullptr, place(input, 2 * max_batch), Sigma());
        return space;
    }

    void
    denoise(const Tensor& x, const Sigma& sigma, Workspace& workspace, Estimate& out) const override
    {
        Space& s = static_cast<Space&>(workspace);
        const std::size_t n = x.batch();
        enter(x, sigma, s);
        s.both.want_variance = out.want_variance;
        d_prior->denoise(s.x, s.sigma, *s.inner, s.both);
        out.set_batch(n);
        out.has_variance = s.both.has_variance;
        tilt(s.both.mean, out.mean);
        if (out.has_variance)
            std::copy(s.both.variance.begin(),
                      s.both.variance.begin() + std::ptrdiff_t(n * x.elements()),
                      out.variance.begin());
    }

    bool has_vjp() const override { return d_prior->has_vjp(); }

    //! J = J_null + scale (J_told - J_null), and the adjoint likewise.
    void vjp(const Tensor& x,
             const Sigma& sigma,
             const Tensor& v,
             Workspace& workspace,
             Tensor& out) const override
    {
        if (!d_prior->has_vjp())
            return Prior::vjp(x, sigma, v, workspace, out);
        Space& s = static_cast<Space&>(workspace);
        enter(x, sigma, s);
        twice(v, s.v);
        s.pulled.set_batch(2 * x.batch());
        d_prior->vjp(s.x, s.sigma, s.v, *s.inner, s.pulled);
        out.set_batch(x.batch());
        tilt(s.pulled, out);
    }

private:
    struct Space : public Workspace {
        std::unique_ptr<Workspace> inner;
        Tensor x; // each item twice: with what it is told, then without
        Sigma sigma;
        Estimate both;
        Tensor v, pulled; // of a prior that has a vjp
        State told;
    };

    static void twice(const Tensor& x, Tensor& both)
    {
        both.set_batch(2 * x.batch());
        for (std::size_t half = 0; half < 2; half++)
            std::copy(x.data(), x.data() + x.size(), both.item(half * x.batch()));
    }

    void enter(const Tensor& x, const Sigma& sigma, Space& s) const
    {
        const std::size_t n = x.batch();
        twice(x, s.x);
        s.sigma.resize(2 * n, sigma.stride());
        for (std::size_t b = 0; b < 2 * n; b++)
            std::copy(sigma.item(b % n), sigma.item(b % n) + sigma.stride(), s.sigma.item(b));
        tell(s, n);
    }

    void tilt(const Tensor& both, Tensor& out) const
    {
        const float *told = both.data(), *null = both.item(out.batch());
        for (std::size_t j = 0; j < out.size(); j++)
            out.data()[j] = null[j] + d_scale * (told[j] - null[j]);
    }

    Tensor place(const SideInput& input, std::size_t rows) const
    {
        return input.previous ? Tensor(d_traits.domain, d_traits.shape, rows)
                              : Tensor(Domain::real, {std::int64_t(input.count)}, rows);
    }

    void tell(Space& s, std::size_t n) const
    {
        for (std::size_t k = 0; k < d_traits.conditions.size(); k++) {
            const SideInput& input = d_traits.conditions[k];
            Tensor& rows = s.told.unknowns()[k].x;
            rows.set_batch(2 * n);
            const Unknown* given = s.context ? s.context->find(input.name) : nullptr;
            if (!given && input.null.empty())
                throw std::runtime_error("the condition '" + input.name + "' was not given");
            for (std::size_t b = 0; b < 2 * n; b++) {
                const bool null = !given || (b >= n && !input.null.empty());
                const float* from =
                    null ? input.null.data() : given->x.item(given->x.batch() == 1 ? 0 : b % n);
                std::copy(from, from + rows.width(), rows.item(b));
            }
        }
    }

    std::shared_ptr<const Prior> d_prior;
    Traits d_traits;
    float d_scale;
};

} // namespace

std::shared_ptr<const Prior> make_classifier_free(std::shared_ptr<const Prior> prior, float scale)
{
    if (scale == 1)
        return prior;
    const auto& inputs = prior->traits().conditions;
    if (std::all_of(
            inputs.begin(), inputs.end(), [](const SideInput& i) { return i.null.empty(); }))
        throw Error(inputs.empty()
                        ? "is for conditional priors, and this one takes no condition: leave it out"
                        : "needs a condition with a 'null' value to compare with, and the package "
                          "declares none: leave it out, or train with the condition dropped");
    return std::make_shared<ClassifierFree>(std::move(prior), scale);
}

} // namespace core
} // namespace diffsem
} // namespace gr
