/*
 * SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Several draws from one posterior.
 */
#include "infer/estimator_impl.h"

#include <string>

namespace gr {
namespace diffsem {
namespace core {

void Estimator::check_draws() const
{
    const SamplerEntry& sampler = *d->d_parts.sampler;
    if (d->d_parts.prior && sampler.draws)
        return;
    std::string drawing;
    for (const SamplerEntry* entry : samplers())
        if (entry->draws)
            drawing += (drawing.empty() ? "" : " or ") + std::string(entry->name);
    const std::string name = "scheme '" + d->d_info.spec + "'";
    if (!d->d_parts.prior)
        throw Error("draws: " + name + " has no prior to draw from: take a scheme with one");
    throw Error("draws: the results of the sampler '" + std::string(sampler.name) + "' of " + name +
                " are not spread as the posterior is: take sampler=" + drawing);
}

std::uint64_t Estimator::count_on(std::size_t items)
{
    const std::uint64_t first = d->d_counted;
    d->d_counted += items;
    return first;
}

void Estimator::draw(const float* y,
                     std::size_t count,
                     const float* noise_var,
                     std::size_t noise_stride,
                     std::uint64_t first,
                     float* draws,
                     ItemInfo* info,
                     const RunLimit& limit)
{
    check_draws();
    const std::size_t parts = d->d_info.complex_domain ? 2 : 1;
    d->run({y, parts, 0, count, noise_var, noise_stride, 0, first, draws, nullptr, info}, limit);
}

void Estimator::draw(const cfloat* y,
                     std::size_t count,
                     const float* noise_var,
                     std::size_t noise_stride,
                     std::uint64_t first,
                     cfloat* draws,
                     ItemInfo* info,
                     const RunLimit& limit)
{
    check_draws();
    const auto* floats = reinterpret_cast<const float*>(y);
    auto* to = reinterpret_cast<float*>(draws);
    d->run({floats, 2, 0, count, noise_var, noise_stride, 0, first, to, nullptr, info}, limit);
}

} // namespace core
} // namespace diffsem
} // namespace gr
