/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "infer/plan_grid.h"

#include <gnuradio/diffsem/core/base/error.h>

#include <algorithm>
#include <cmath>
#include <vector>

namespace gr {
namespace diffsem {
namespace core {

namespace {

// Of priors that state no schedule, closed-form ones above all: the 100 steps of diffusion channel estimation (Fesl et
// al. 2024).
constexpr int own_steps = 100;
constexpr double own_beta_max = 0.1;

// Of the plan's keys, then the prior's file, then defaults.
std::vector<double> schedule_of(const PlanParameters& p)
{
    ScheduleKeys keys;
    keys.type = p.type;
    keys.steps = p.steps_train;
    keys.beta_min = p.beta_min;
    keys.beta_max = p.beta_max;
    keys.alphas_cumprod = p.alphas_cumprod;
    if (p.schedule.type.empty() && p.type == "linear_vp") {
        keys.steps = keys.steps ? keys.steps : own_steps;
        keys.beta_max = keys.beta_max > 0 ? keys.beta_max : own_beta_max;
    }
    keys = p.type == "schedule" || p.type == "list" ? p.schedule : completed(keys, p.schedule);
    if (keys.type.empty())
        throw Error("plan.type = " + p.type +
                    ": there is no prior's file whose schedule this could "
                    "be: name one (linear_vp, scaled_linear, cosine)");
    return log_levels(keys, "plan");
}

} // namespace

void inherit_schedule(PlanParameters& p, const ScheduleKeys& schedule, float unit)
{
    const bool needed = p.type == "schedule" || !p.timesteps.empty();
    if (needed && schedule.type.empty())
        throw Error("plan." + std::string(p.timesteps.empty() ? "type = schedule" : "timesteps") +
                    ": the prior's file states no schedule: name one (linear_vp, scaled_linear, "
                    "cosine), give 'sigmas', or add diffsem.schedule to the file");
    if (!needed && p.type != schedule.type)
        return;
    p.schedule = schedule;
    p.unit = unit;
}

Grid grid_of(const PlanParameters& p)
{
    if (p.type == "list" && p.sigmas.empty() == p.timesteps.empty())
        throw Error(
            "plan.type = list: give its levels, 'sigmas', or steps of the prior's schedule, "
            "'timesteps' (one of the two; in a string sigmas=10;5;1;0.1)");
    if (!p.sigmas.empty())
        return {p.sigmas, {}};
    const std::vector<double> logs = schedule_of(p);
    std::vector<double> visited = p.timesteps;
    Grid grid;
    const int count = p.steps ? std::min(p.steps, int(logs.size())) : int(logs.size());
    if (p.type != "list") {
        const auto steps =
            spaced_steps(p.spacing, int(logs.size()), count, p.steps_offset, p.drop_last);
        visited.assign(steps.begin(), steps.end());
    }
    for (const double t : visited) {
        if (!(t >= 0 && t <= double(logs.size() - 1)))
            throw Error(
                "plan: step " + Json(t).dump() + " is not one of the schedule's 0 .. " +
                std::to_string(logs.size() - 1) +
                (p.type == "list" ? ": correct timesteps" : ": give a smaller steps_offset"));
        const auto level = [&](double step) { return std::exp(log_level_at(logs, step)) / p.unit; };
        grid.levels.push_back(level(t));
        const int down = int(logs.size()) / count;
        if (p.stride)
            grid.landing.push_back(t >= down ? level(t - down) : double(p.end));
    }
    return grid;
}

} // namespace core
} // namespace diffsem
} // namespace gr
