/*
 * SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Where a batch begins: state and levels of each kind of start; and the draw that ends a picture.
 */
#include "infer/estimator_impl.h"
#include "infer/nearest_draw.h"

#include <algorithm>
#include <cmath>
#include <stdexcept>
#include <vector>

namespace gr {
namespace diffsem {
namespace core {

// The measurement is the state, each element at its own level.
void Estimator::Impl::begin_at_measurement()
{
    SamplerRun& run = *d_run;
    const SamplerEntry& sampler = *d_parts.sampler;
    const bool fixed = d_parts.start->needs_sigma; // at a level that does not depend on the noise
    const bool each =
        !d_all_measured || (d_noise.per_element() && d_parts.prior->traits().tensor_sigma);
    const bool noisy = each && (sampler.stochastic || d_eta > 0);
    const float top = d_plan.sigma_max();
    const std::size_t parts = run.x.width() / run.x.elements();
    std::copy(d_y.data(), d_y.data() + d_y.size(), run.x.data());
    d_start.resize(d_slots.size(), each ? d_n : 1);
    for (std::size_t b = 0; b < d_slots.size(); b++) {
        // A model of one level is told the root of the mean noise power.
        const float whole = fixed ? d_parts.start_sigma
                                  : float(std::sqrt(d_slots[b].info.noise_var / d_slots[b].power));
        if (!each) {
            d_start.item(b)[0] = whole;
            continue;
        }
        // Unmeasured elements: unknown to what seeks the mean, pure noise to what draws.
        if (noisy) {
            run.noise.resize(run.x.width());
            run.rng.fill(run.items[b], 0, run.x.domain(), d_n, run.noise.data());
        }
        for (std::size_t i = 0; i < d_n; i++) {
            if (measured(d_slots[b], i)) {
                d_start.item(b)[i] = fixed ? whole : d_noise.at(b, i);
                continue;
            }
            d_start.item(b)[i] = sampler.seeks_mean ? Sigma::unobserved() : top;
            for (std::size_t j = parts * i; noisy && j < parts * (i + 1); j++)
                run.x.item(b)[j] = top * run.noise[j];
        }
    }
}

const float* Estimator::Impl::spectrum() const
{
    const Unknown* found = d_context.find("spectrum");
    return found && found->x.elements() == d_n ? found->x.data() : nullptr;
}

// Linear MMSE under the spectrum that the item brought, at the level of its error: the step of a Gaussian prior.
void Estimator::Impl::begin_at_linear_answer()
{
    SamplerRun& run = *d_run;
    const float* of_x = spectrum();
    if (!of_x)
        throw std::runtime_error("the item came without its spectrum");
    d_start.resize(1, d_n);
    for (std::size_t i = 0; i < d_n; i++)
        d_start.item(0)[i] = std::sqrt(of_x[i]);
    std::fill(run.x.data(), run.x.data() + run.x.size(), 0.0f);
    d_op->proximal(d_y, d_noise, run.x, d_start, run.x, d_scratch.data());
    d_op->proximal_variance(d_noise, d_start, run.variance.data());
    run.has_variance = true;
    for (std::size_t i = 0; i < d_n; i++)
        d_start.item(0)[i] = std::sqrt(run.variance[i]);
}

// From the posterior's mean towards a draw, by the variances that the last proximal step found and left.
void Estimator::Impl::draw_nearest()
{
    SamplerRun& run = *d_run;
    const std::size_t rows = std::size_t(d_shape[1]), columns = std::size_t(d_shape[2]);
    std::vector<float> prior(d_n);
    const float *of_x = spectrum(),
                *left = d_posterior ? run.estimate.variance.data() : run.variance.data();
    for (std::size_t k = 0; k < d_n; k++)
        prior[k] = d_posterior
                       ? std::pow(PosteriorDenoiser::prior_levels(*run.workspace).at(0, k), 2.0f)
                       : of_x[k];
    std::vector<std::uint8_t> seen(rows * columns);
    for (std::size_t k = 0; k < seen.size(); k++)
        seen[k] = measured(k) && d_noise.at(0, k) < Sigma::unobserved();
    add_realism({rows, columns, left, prior.data(), seen},
                d_plan.parameters().realism,
                d_parts.seed,
                std::uint32_t(run.denoiser ? run.levels.steps() + 1 : 1),
                run.x.data());
}

// Noise, alone or on a coarse estimate; the measurement stays with the posterior denoiser.
void Estimator::Impl::begin_in_noise()
{
    SamplerRun& run = *d_run;
    const bool coarse = d_parts.start->needs_sigma;
    const float level = coarse ? d_parts.start_sigma : d_plan.sigma_max();
    const std::size_t batch = d_slots.size();
    d_start.resize(batch, 1);
    if (coarse && d_op->keeps_elements_apart()) {
        d_op->adjoint(d_y, run.x); // y itself
    } else if (coarse && !d_op->has_proximal()) {
        d_op->classical(d_y, run.x);
    } else if (coarse) { // linear MMSE under a white prior
        d_zero.set_batch(batch);
        std::fill(d_zero.data(), d_zero.data() + d_zero.size(), 0.0f);
        d_op->proximal(d_y, d_noise, d_zero, d_unit, run.x, d_scratch.data());
    } else {
        std::fill(run.x.data(), run.x.data() + run.x.size(), 0.0f);
    }
    for (std::size_t b = 0; b < batch; b++) {
        // What seeks the mean starts from the mean of pure noise: nothing known, and no dice.
        const bool nothing = d_parts.sampler->seeks_mean && !coarse;
        d_start.item(b)[0] = nothing ? Sigma::unobserved() : level;
        if (nothing)
            continue;
        const float deviation = d_parts.full_power ? std::sqrt(1.0f + level * level) : level;
        run.noise.resize(run.x.width());
        run.rng.fill(run.items[b], 0, run.x.domain(), d_n, run.noise.data());
        for (std::size_t j = 0; j < run.x.width(); j++)
            run.x.item(b)[j] += deviation * run.noise[j];
    }
}

} // namespace core
} // namespace diffsem
} // namespace gr
