/*
 * SPDX-License-Identifier: GPL-3.0-or-later
 *
 * The levels of plans that are fixed beforehand: of a list, or of a schedule's steps.
 */
#pragma once

#include <gnuradio/diffsem/core/infer/plan.h>

#include <vector>

namespace gr {
namespace diffsem {
namespace core {

//! Levels that the plan visits, descending, and where a stride leads from each (empty without).
struct Grid {
    std::vector<double> levels, landing;
};

//! Throws Error.
Grid grid_of(const PlanParameters& plan);

} // namespace core
} // namespace diffsem
} // namespace gr
