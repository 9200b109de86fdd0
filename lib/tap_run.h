/*
 * SPDX-License-Identifier: GPL-3.0-or-later
 *
 * What makes the taps of frames from their least-squares taps: a scheme of as many carriers, or one over a grid, for which a
 * frame is one symbol of any length. Private.
 */
#pragma once

#include "block_helpers.h"
#include "grid_run.h"

#include <gnuradio/diffsem/core/infer/estimator.h>
#include <gnuradio/diffsem/core/link/ofdm.h>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <limits>
#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace gr {
namespace diffsem {

class tap_run
{
public:
    //! options: of an estimator of these carriers, max_batch of frames. Throws Error where the scheme is for others.
    tap_run(std::shared_ptr<const core::Scheme> scheme,
            const core::SyncWords& sync,
            core::EstimatorOptions options)
        : d_observed(sync.observed())
    {
        const std::size_t n = d_observed.size();
        const auto& info = scheme->info();
        if (info.shape.size() == 2) {
            options.max_batch = tiles_at_once;
            d_grid = std::make_unique<grid_run>(std::move(scheme), 1, n, 1, options);
            d_noise.resize(n);
            return;
        }
        options.observed = d_observed;
        options.item_size = n;
        d_whole = std::make_unique<core::Estimator>(std::move(scheme), options);
    }

    //! As Estimator::run(), of frames.
    void run(const gr_complex* y,
             std::size_t frames,
             const float* noise_var,
             std::size_t noise_stride,
             std::uint64_t first,
             gr_complex* mean,
             float* variance,
             core::ItemInfo* info,
             const core::RunLimit& limit)
    {
        if (d_whole) {
            d_whole->run(y, frames, noise_var, noise_stride, first, mean, variance, info, limit);
            return;
        }
        const std::size_t n = d_observed.size();
        for (std::size_t f = 0; f < frames; f++)
            info[f] = one(y + f * n,
                          noise_var + f * noise_stride,
                          noise_stride,
                          mean + f * n,
                          variance ? variance + f * n : nullptr,
                          limit);
    }

    core::Estimator& estimator() { return d_whole ? *d_whole : d_grid->tiles().estimator(); }
    void set_steps(int steps) { estimator().set_steps(steps); }
    void set_eta(float eta) { estimator().set_eta(eta); }
    void set_seed(std::uint64_t seed) { estimator().set_seed(seed); }
    const core::CostModel& trial_cost() const
    {
        return d_whole ? d_whole->trial_cost() : d_grid->trial_cost();
    }
    int max_evaluations() { return estimator().max_evaluations(); }

private:
    static constexpr std::size_t tiles_at_once = 32;

    core::ItemInfo one(const gr_complex* y,
                       const float* noise_var,
                       std::size_t noise_stride,
                       gr_complex* mean,
                       float* variance,
                       const core::RunLimit& limit)
    {
        const std::size_t n = d_observed.size();
        double sum = 0, count = 0;
        for (std::size_t k = 0; k < n; k++) {
            const float told = noise_var[noise_stride == 1 ? 0 : k];
            d_noise[k] = d_observed[k] ? told : core::Sigma::unobserved();
            sum += d_observed[k] ? told : 0;
            count += d_observed[k];
        }
        auto info = d_grid->tiles().run(y, d_noise.data(), n, mean, variance, limit).item();
        info.noise_var = static_cast<float>(sum / std::max(count, 1.0));
        for (std::size_t k = 0; variance && k < n; k++) // far from all that is observed
            if (std::isnan(variance[k]))
                variance[k] = std::numeric_limits<float>::infinity();
        return info;
    }

    const std::vector<std::uint8_t> d_observed;
    std::unique_ptr<core::Estimator> d_whole; // or
    std::unique_ptr<grid_run> d_grid;
    std::vector<float> d_noise;
};

} // namespace diffsem
} // namespace gr
