/*
 * SPDX-License-Identifier: GPL-3.0-or-later
 *
 * The noise levels of a network's training steps: what its time embedding counts, and the grid of a plan.
 */
#pragma once

#include <gnuradio/diffsem/core/base/entry.h>
#include <gnuradio/diffsem/core/base/fields.h>

#include <string>
#include <vector>

namespace gr {
namespace diffsem {
namespace core {

//! What a file, or a plan, says of a schedule. 0 and empty: not said.
struct ScheduleKeys {
    std::string type; //!< an entry's name; empty: there is none
    int steps = 0;    //!< T
    double beta_min = 0, beta_max = 0;
    std::vector<double> alphas_cumprod; //!< of the type of that name: alpha_bar of step 0 .. T-1
};

struct ScheduleEntry : Entry {
    //! alpha_bar of step 0 .. T-1, falling. The keys are complete and in range.
    std::vector<double> (*alpha_bar)(const ScheduleKeys& keys);
};

const std::vector<const ScheduleEntry*>& schedules();

constexpr int most_schedule_steps = 100000;

//! The keys of {"type": "linear_vp", "steps": 1000, ...}. Throws Error.
ScheduleKeys read_schedule(const Fields& fields);

//! An object of a manifest or of metadata with these keys, every array in it: what stands for itself in a file.
Json schedule_json(const ScheduleKeys& keys);

//! What `keys` leave open, from `other`, where that is of the same type.
ScheduleKeys completed(ScheduleKeys keys, const ScheduleKeys& other);

/*!
 * ln sigma of step 0 .. T-1, rising: sigma^2 = (1 - alpha_bar)/alpha_bar, in the units of the network. What is not said has
 * the entry's default. Throws Error, beginning with `where`.
 */
std::vector<double> log_levels(const ScheduleKeys& keys, const std::string& where);

//! ln sigma at a step that need not be whole, between 0 and T-1.
double log_level_at(const std::vector<double>& log_levels, double step);

//! How evaluations are spread over the steps, as diffusers spaces them (Lin et al. 2024, table 2).
enum class Spacing { even, leading, trailing, linspace };
const std::vector<std::string>& spacings(); //!< their names, in that order

/*!
 * Which of T steps are visited by `count` evaluations, falling; `even`: all of them (a plan thins what it needs).
 * \param offset    is added to each of `leading`
 * \param drop_last of count + 1 steps spaced so, the last is left out, as multistep solvers have it
 */
std::vector<int> spaced_steps(Spacing spacing, int steps, int count, int offset, bool drop_last);

} // namespace core
} // namespace diffsem
} // namespace gr
