/*
 * SPDX-License-Identifier: GPL-3.0-or-later
 *
 * A scheme of one size on a grid of another, as live_scheme runs one. Private.
 */
#pragma once

#include <gnuradio/diffsem/core/infer/tiled_estimator.h>
#include <gnuradio/diffsem/core/realtime/realtime.h>

#include <algorithm>
#include <cstddef>
#include <memory>
#include <utility>

namespace gr {
namespace diffsem {

class grid_run
{
public:
    /*!
     * \param items   of the block, that each grid answers: by them its ledger counts what an evaluation takes
     * \param options max_batch is of tiles
     */
    grid_run(std::shared_ptr<const core::Scheme> scheme,
             std::size_t rows,
             std::size_t columns,
             std::size_t items,
             const core::EstimatorOptions& options)
        : d_tiles(std::move(scheme), {rows, columns}, {}, options)
    {
        d_cost.add(d_tiles.trial_seconds(), 1, static_cast<double>(items));
    }

    core::TiledEstimator& tiles() { return d_tiles; }

    void set_steps(int steps) { d_tiles.estimator().set_steps(steps); }
    void set_eta(float eta) { d_tiles.estimator().set_eta(eta); }
    void set_seed(std::uint64_t seed) { d_tiles.estimator().set_seed(seed); }
    const core::CostModel& trial_cost() const { return d_cost; }
    int max_evaluations() { return d_tiles.estimator().max_evaluations(); }

private:
    core::TiledEstimator d_tiles;
    core::CostModel d_cost;
};

} // namespace diffsem
} // namespace gr
