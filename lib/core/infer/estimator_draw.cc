/*
 * SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Several draws from one posterior.
 */
#include "infer/estimator_impl.h"

#include <algorithm>
#include <cmath>
#include <string>

namespace gr {
namespace diffsem {
namespace core {

namespace {

constexpr std::uint32_t classical_step =
    ~std::uint32_t(0); // of random numbers; no sampler takes so many

} // namespace

bool Estimator::Impl::draws() const
{
    return d_parts.prior && d_parts.sampler->draws &&
           (!d_posterior || d_posterior->guidance().draws);
}

// The items of a call are all draws, or none is.
bool Estimator::Impl::drawing() const
{
    return d_slots.front().drawing && draws();
}

// Without a prior what is known of a measured element is y and its noise, so a draw is y with as much noise again. Where
// nothing was measured there is nothing to draw from, and the element stays 0.
void Estimator::Impl::classical_draw(const Item& item)
{
    if (!d_op->keeps_elements_apart())
        return;
    d_raw_x.set_batch(1);
    float* z = d_raw_x.data();
    random().fill(item.index, classical_step, d_raw_x.domain(), d_n, z);
    for (std::size_t i = 0; i < d_n; i++) {
        const float noise = item.noise_at(i);
        if (!measured(i) || lost(item, i) || !usable(noise))
            continue;
        for (std::size_t j = 0; j < std::min(item.in_parts, d_parts_of_x); j++)
            item.mean[item.in_parts * i + j] += std::sqrt(noise) * z[d_parts_of_x * i + j];
    }
}

void Estimator::Impl::check_draws() const
{
    if (draws() && d_plan.max_steps() >= least_draw_levels)
        return;
    if (draws())
        throw Error("draws: steps = " + std::to_string(d_plan.max_steps()) + " of scheme '" +
                    d_info.spec + "' are too few for draws spread as the posterior is: take " +
                    std::to_string(least_draw_levels) + " or more, ten are calibrated");
    const SamplerEntry& sampler = *d_parts.sampler;
    std::string drawing;
    for (const SamplerEntry* entry : samplers())
        if (entry->draws)
            drawing += (drawing.empty() ? "" : " or ") + std::string(entry->name);
    const std::string name = "scheme '" + d_info.spec + "'";
    if (!d_parts.prior)
        throw Error("draws: " + name + " has no prior to draw from: take a scheme with one");
    if (sampler.draws) {
        const std::string fitting = d_posterior->drawing();
        throw Error(
            "draws: what comes through the guidance '" + std::string(d_posterior->guidance().name) +
            "' of " + name + " is not spread as the posterior is: " +
            (fitting.empty() ? "leave draws out, since no guidance that is fits its prior and "
                               "operator"
                             : "take guidance=" + fitting));
    }
    throw Error("draws: the results of the sampler '" + std::string(sampler.name) + "' of " + name +
                " are not spread as the posterior is: take sampler=" + drawing);
}

void Estimator::check_draws() const
{
    d->check_draws();
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
