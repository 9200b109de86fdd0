/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <gnuradio/diffsem/core/infer/condition.h>

#include "infer/guidance_space.h"

#include <algorithm>
#include <cstdint>

namespace gr {
namespace diffsem {
namespace core {

PosteriorDenoiser::PosteriorDenoiser(std::shared_ptr<const Prior> prior,
                                     std::shared_ptr<const Operator> op,
                                     float inflation,
                                     const GuidanceEntry* guidance,
                                     std::map<std::string, double> keys)
{
    d_parts.prior = std::move(prior);
    d_parts.op = std::move(op);
    d_parts.inflation = inflation;
    d_parts.keys = std::move(keys);
    find_observed();
    d_entry = guidance ? guidance : &default_guidance(*d_parts.prior, *d_parts.op);
    d_guidance = make_guidance(d_entry, d_parts);
    d_traits = d_guidance->traits(d_parts);
    d_traits.approximate = !d_entry->exact;
}

void PosteriorDenoiser::find_observed()
{
    const std::uint8_t* observed = d_parts.op->observed();
    d_parts.all_observed =
        !observed ||
        std::all_of(observed, observed + d_parts.op->rows(), [](std::uint8_t o) { return o != 0; });
}

void PosteriorDenoiser::measure(const Tensor& y, const Sigma& noise)
{
    d_parts.y = &y;
    d_parts.noise = &noise;
}

const char* PosteriorDenoiser::acting(const Sigma& sigma) const
{
    return d_guidance->acting(d_parts, sigma);
}

std::unique_ptr<Workspace> PosteriorDenoiser::make_workspace(std::size_t max_batch) const
{
    return d_guidance->make_workspace(d_parts, max_batch);
}

void PosteriorDenoiser::denoise(const Tensor& x,
                                const Sigma& sigma,
                                Workspace& workspace,
                                Estimate& out) const
{
    auto& space = static_cast<GuidanceSpace&>(workspace);
    space.inner->context = space.context;
    d_guidance->denoise(d_parts, x, sigma, workspace, out);
}

const Sigma& PosteriorDenoiser::prior_levels(const Workspace& workspace)
{
    return static_cast<const GuidanceSpace&>(workspace).sigma;
}

bool PosteriorDenoiser::replace(std::shared_ptr<const Operator> op)
{
    if (!d_guidance->replace(*op))
        return false;
    d_parts.op = std::move(op);
    find_observed();
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
