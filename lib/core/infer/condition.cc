/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <gnuradio/diffsem/core/infer/condition.h>

#include <algorithm>
#include <cmath>
#include <vector>

namespace gr {
namespace diffsem {
namespace core {

namespace {
constexpr double least_variance =
    1e-12; // of the prior's answer: a proximal step must be able to divide by it
}

struct PosteriorDenoiser::Space : public Workspace {
    std::unique_ptr<Workspace> inner; // of the prior, or of its joint denoiser
    Tensor x;                         // combined: x~; joint: [x; y]
    Sigma sigma;                      // of x; proximal: of the prior's answer
    Sigma inflated;                   // the measurement's noise
    std::vector<std::complex<double>> scratch;
};

PosteriorDenoiser::PosteriorDenoiser(std::shared_ptr<const Prior> prior,
                                     std::shared_ptr<const Operator> op,
                                     float inflation)
    : d_prior(std::move(prior)),
      d_op(std::move(op)),
      d_traits(d_prior->traits()),
      d_inflation(inflation)
{
    find_observed();
    if (d_op->keeps_elements_apart())
        return;
    d_joint = d_prior->joint(*d_op);
    if (!d_joint && !d_op->level_per_element())
        d_traits.variance = d_traits.tensor_sigma = false;
}

void PosteriorDenoiser::find_observed()
{
    const std::uint8_t* observed = d_op->observed();
    d_all_observed =
        !observed ||
        std::all_of(observed, observed + d_op->rows(), [](std::uint8_t o) { return o != 0; });
}

void PosteriorDenoiser::measure(const Tensor& y, const Sigma& noise)
{
    d_y = &y;
    d_noise = &noise;
}

PosteriorDenoiser::Method PosteriorDenoiser::method(const Sigma& sigma) const
{
    if (d_joint)
        return Method::joint;
    const bool one_level = d_all_observed && !d_noise->per_element() && !sigma.per_element();
    return d_op->keeps_elements_apart() && (d_prior->traits().tensor_sigma || one_level)
               ? Method::combined
               : Method::proximal;
}

std::unique_ptr<Workspace> PosteriorDenoiser::make_workspace(std::size_t max_batch) const
{
    auto s = std::make_unique<Space>();
    const std::size_t n = d_op->cols(), m = d_op->rows();
    const Traits& t = d_prior->traits();
    if (d_joint) {
        s->inner = d_joint->make_workspace(max_batch);
        s->x = Tensor(t.domain, {std::int64_t(n + m)}, max_batch);
        s->sigma = Sigma(max_batch, n + m);
    } else {
        s->inner = d_prior->make_workspace(max_batch);
        s->sigma = Sigma(max_batch, 1);
    }
    if (!d_joint && d_op->keeps_elements_apart()) {
        s->x = Tensor(t.domain,
                      t.shape.empty() ? std::vector<std::int64_t>{std::int64_t(n)} : t.shape,
                      max_batch);
        s->sigma = Sigma(max_batch, n);
    }
    s->scratch.resize(d_op->scratch_size());
    return s;
}

void PosteriorDenoiser::denoise(const Tensor& x,
                                const Sigma& sigma,
                                Workspace& workspace,
                                Estimate& out) const
{
    Space& space = static_cast<Space&>(workspace);
    space.inner->context = space.context;
    switch (method(sigma)) {
    case Method::combined:
        return combined(x, sigma, space, out);
    case Method::joint:
        return joint(x, sigma, space, out);
    case Method::proximal:
        return proximal(x, sigma, space, out);
    }
}

void PosteriorDenoiser::combined(const Tensor& x,
                                 const Sigma& sigma,
                                 Space& space,
                                 Estimate& out) const
{
    const std::uint8_t* observed = d_op->observed();
    const std::size_t n = x.elements(), parts = x.width() / n;
    const bool one_level = d_all_observed && !sigma.per_element() && !d_noise->per_element();
    space.x.set_batch(x.batch());
    space.sigma.resize(x.batch(), one_level ? 1 : n);
    for (std::size_t b = 0; b < x.batch(); b++)
        for (std::size_t i = 0; i < n; i++) {
            // 1/inf^2 = 0: a look that saw nothing has no weight, and its value is not read.
            const double wx = 1.0 / std::pow(double(sigma.at(b, i)), 2);
            const double wy =
                !observed || observed[i] ? 1.0 / std::pow(double(d_noise->at(b, i)), 2) : 0.0;
            const double w = wx + wy;
            for (std::size_t j = parts * i; j < parts * (i + 1); j++) {
                const double sum =
                    (wx > 0 ? wx * x.item(b)[j] : 0.0) + (wy > 0 ? wy * d_y->item(b)[j] : 0.0);
                space.x.item(b)[j] = w > 0 ? float(sum / w) : 0.0f;
            }
            if (!one_level || i == 0)
                space.sigma.item(b)[i] = w > 0 ? float(1.0 / std::sqrt(w)) : Sigma::unobserved();
        }
    d_prior->denoise(space.x, space.sigma, *space.inner, out);
}

void PosteriorDenoiser::joint(const Tensor& x,
                              const Sigma& sigma,
                              Space& space,
                              Estimate& out) const
{
    const std::size_t n = d_op->cols(), m = d_op->rows();
    space.x.set_batch(x.batch());
    space.sigma.resize(x.batch(), n + m);
    for (std::size_t b = 0; b < x.batch(); b++) {
        std::copy(x.citem(b), x.citem(b) + n, space.x.citem(b));
        std::copy(d_y->citem(b), d_y->citem(b) + m, space.x.citem(b) + n);
        for (std::size_t i = 0; i < n + m; i++)
            space.sigma.item(b)[i] = i < n ? sigma.at(b, i) : d_noise->at(b, i - n);
    }
    d_joint->denoise(space.x, space.sigma, *space.inner, out);
}

void PosteriorDenoiser::proximal(const Tensor& x,
                                 const Sigma& sigma,
                                 Space& space,
                                 Estimate& out) const
{
    const bool wanted = out.want_variance;
    out.want_variance = true;
    d_prior->denoise(x, sigma, *space.inner, out);
    out.want_variance = wanted;
    const std::size_t n = x.elements();
    const bool each = d_op->level_per_element();
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
    const Sigma* noise = d_noise;
    if (d_inflation != 1) {
        space.inflated.resize(d_noise->batch(), d_noise->stride());
        for (std::size_t i = 0; i < d_noise->batch() * d_noise->stride(); i++)
            space.inflated.item(0)[i] = d_noise->item(0)[i] * std::sqrt(d_inflation);
        noise = &space.inflated;
    }
    d_op->proximal(*d_y, *noise, out.mean, space.sigma, out.mean, space.scratch.data());
    if (each) // else the prior's variance no longer describes the mean
        d_op->proximal_variance(*noise, space.sigma, out.variance.data());
    out.has_variance = each;
}

const Sigma& PosteriorDenoiser::prior_levels(const Workspace& workspace)
{
    return static_cast<const Space&>(workspace).sigma;
}

bool PosteriorDenoiser::replace(std::shared_ptr<const Operator> op)
{
    if (d_joint && !op->blocks().values)
        return false;
    d_op = std::move(op);
    find_observed();
    if (d_joint)
        d_joint->replace(*d_op);
    return true;
}

std::unique_ptr<PosteriorDenoiser> condition(std::shared_ptr<const Prior> prior,
                                             std::shared_ptr<const Operator> op,
                                             const Tensor& y,
                                             const Sigma& noise)
{
    auto posterior = std::make_unique<PosteriorDenoiser>(std::move(prior), std::move(op));
    posterior->measure(y, noise);
    return posterior;
}

} // namespace core
} // namespace diffsem
} // namespace gr
