/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <gnuradio/diffsem/core/infer/plan.h>

#include "infer/plan_grid.h"

#include <gnuradio/diffsem/core/base/error.h>

#include <algorithm>
#include <cmath>
#include <vector>

namespace gr {
namespace diffsem {
namespace core {

namespace {

double geometric(const PlanParameters& p, double start, double fraction)
{
    return start * std::pow(double(p.sigma_min) / start, fraction);
}

double karras(const PlanParameters& p, double start, double fraction)
{
    const double a = std::pow(start, 1.0 / p.rho), b = std::pow(double(p.sigma_min), 1.0 / p.rho);
    return std::pow(a + fraction * (b - a), double(p.rho));
}

constexpr int most_steps = 10000;
constexpr float default_sigma_max = 100.0f;

void require(bool fits, const char* key, double value, const char* remedy)
{
    if (!fits)
        throw Error("plan." + std::string(key) + " = " + Json(value).dump() + ": " + remedy);
}

const Key steps = {"steps", "evaluations from pure noise (10; of a grid: all its levels)"};
const Key sigma_min = {
    "sigma_min",
    "last level before the end, relative to a signal of unit power (0.01; of the "
    "prior's own schedule: its least)"};
const Key sigma_max = {"sigma_max", "first level of pure noise (100; of a grid: its end)"};
const Key steps_train = {"steps_train",
                         "length of the schedule (the prior's; else linear_vp 100, others 1000)"};
const Key beta_min = {"beta_min", "first beta (the prior's; else 1e-4)"};
const Key beta_max = {"beta_max",
                      "last beta (the prior's; else linear_vp 0.1, scaled_linear 0.02)"};
const Key alphas_cumprod =
    list_key("alphas_cumprod",
             "alpha_bar of each step, falling: numbers, or the name of a .npy file");
const Key end = {"end", "level where the last step goes (0)"};
const Key vp_end = {"vp_end",
                    "the answer is the state of a variance-preserving process there, x / sqrt(1 + "
                    "end^2), as diffusers leaves it (false)",
                    true};
const Key stride = {"stride",
                    "each step goes down T/steps of the schedule's T, rounded down, whatever is "
                    "evaluated next, as DDIM of diffusers does (false: to that)",
                    true};

// Keys of all grids that a schedule gives, behind those of the schedule itself.
std::vector<Key> grid_keys(std::vector<Key> own)
{
    std::vector<Key> keys = {steps, sigma_min, sigma_max};
    keys.insert(keys.end(), own.begin(), own.end());
    keys.push_back(text_key("spacing",
                            "which of its steps: `even` of those below the start, or as diffusers "
                            "`leading`, `trailing`, `linspace` (even)"));
    keys.push_back({"steps_offset", "of the spacing `leading`: added to each step, 0 .. 1000 (0)"});
    keys.push_back({"drop_last",
                    "of `leading` and `linspace`: spaced for one evaluation more, the last left "
                    "out, as multistep solvers have it (false)",
                    true});
    keys.insert(keys.end(), {stride, end, vp_end});
    return keys;
}

} // namespace

const std::vector<const PlanEntry*>& plans()
{
    // {name, documentation, keys}, level, grid, measured, given
    static const PlanEntry
        of_geometric = {{"geometric",
                         "Levels in a geometric series from the start to sigma_min.",
                         {steps, sigma_min, sigma_max, end, vp_end}},
                        geometric,
                        false,
                        false},
        of_karras = {{"karras",
                      "Levels whose rho-th roots are evenly spaced (Karras et al. 2022, eq. 5).",
                      {steps, sigma_min, sigma_max, {"rho", "1 .. 100 (7)"}, end, vp_end}},
                     karras,
                     false,
                     false},
        of_list = {{"list",
                    "These levels, or these steps of the prior's own schedule, descending; of them "
                    "those below the start.",
                    {list_key("sigmas", "levels, relative to a signal of unit power"),
                     list_key("timesteps", "in place of sigmas: steps 0 .. T-1"),
                     end,
                     vp_end}},
                   nullptr,
                   true,
                   false,
                   true},
        of_schedule = {{"schedule",
                        "The grid of the schedule that the prior's file states.",
                        grid_keys({})},
                       nullptr,
                       true,
                       false,
                       true},
        of_linear_vp =
            {{"linear_vp",
              "The grid of a variance-preserving process with linear beta (Ho et al. "
              "2020). What is not said is the prior's own, where its schedule is of this "
              "type.",
              grid_keys({steps_train, beta_min, beta_max})},
             nullptr,
             true,
             false},
        of_scaled_linear =
            {{"scaled_linear",
              "The same where the root of beta grows linearly (Rombach et al. 2022).",
              grid_keys({steps_train, beta_min, beta_max})},
             nullptr,
             true,
             false},
        of_cosine = {{"cosine",
                      "The cosine grid (Nichol and Dhariwal 2021, eq. 17).",
                      grid_keys({steps_train})},
                     nullptr,
                     true,
                     false},
        of_alphas = {{"alphas_cumprod", "Any other grid.", grid_keys({alphas_cumprod})},
                     nullptr,
                     true,
                     false,
                     true},
        of_proximal = {
            {"proximal",
             "Half-quadratic splitting (K. Zhang et al., IEEE TPAMI 2022) with measured levels: "
             "the prior, then the operator's "
             "proximal step, whose error is the next level. Of the operator `transform`.",
             {{"steps", "evaluations, 1 .. 1000"},
              {"inflation", "of the measurement's noise once the prior has seen it, 1 .. 1000 (1)"},
              {"final",
               "whether a proximal step follows each evaluation; false: one evaluation, a "
               "regression (true)",
               true},
              {"realism", "0: the posterior's mean, 1: the draw nearest to it; experimental (0)"}}},
            nullptr,
            false,
            true};
    static const std::vector<const PlanEntry*> table = {&of_geometric,
                                                        &of_karras,
                                                        &of_list,
                                                        &of_schedule,
                                                        &of_linear_vp,
                                                        &of_scaled_linear,
                                                        &of_cosine,
                                                        &of_alphas,
                                                        &of_proximal};
    return table;
}

namespace {

void read_grid(const Fields& f, PlanParameters& p)
{
    p.steps_train = f.integer("steps_train", 0);
    p.beta_min = float(f.number("beta_min", 0));
    p.beta_max = float(f.number("beta_max", 0));
    for (const char* key : {"steps_train", "beta_min", "beta_max"})
        if (f.has(key) && !(f.number(key, 0) > 0))
            f.fail(key, "must lie above 0; leave it out for the prior's own");
    for (auto [key, list] : {std::pair("alphas_cumprod", &p.alphas_cumprod),
                             std::pair("sigmas", &p.sigmas),
                             std::pair("timesteps", &p.timesteps)})
        if (f.has(key))
            *list = f.array(key, {-1}).data;
    const std::string spacing = f.text("spacing", "even");
    const auto& names = spacings();
    const auto found = std::find(names.begin(), names.end(), spacing);
    if (found == names.end())
        f.fail("spacing", "is unknown" + suggestion(spacing, names));
    p.spacing = Spacing(found - names.begin());
    p.steps_offset = f.integer("steps_offset", 0);
    p.drop_last = f.flag("drop_last", false);
    p.stride = f.flag("stride", false);
    p.vp_end = f.flag("vp_end", false);
    if (p.steps_offset &&
        (p.spacing != Spacing::leading || p.steps_offset < 0 || p.steps_offset > 1000))
        f.fail("steps_offset", "is of the spacing 'leading', 0 .. 1000");
    if (p.drop_last && p.spacing != Spacing::leading && p.spacing != Spacing::linspace)
        f.fail("drop_last", "is of the spacings 'leading' and 'linspace'");
}

} // namespace

PlanParameters read_plan(const Fields& f)
{
    PlanParameters p;
    p.type = f.text("type");
    p.steps = f.integer("steps", 0);
    if (f.has("steps") && p.steps < 1)
        f.fail("steps", "must be at least 1");
    p.sigma_min = float(f.number("sigma_min", p.sigma_min));
    p.least_given = f.has("sigma_min");
    p.end = float(f.number("end", 0));
    p.sigma_max = float(f.number("sigma_max", p.sigma_max));
    p.rho = float(f.number("rho", p.rho));
    read_grid(f, p);
    p.inflation = float(f.number("inflation", 1));
    p.final = f.flag("final", true);
    p.realism = float(f.number("realism", 0));
    if (!(p.realism >= 0 && p.realism <= 1))
        f.fail("realism", "must lie in 0 .. 1: 0 is the mean, 1 a draw");
    return p;
}

Plan::Plan(const PlanParameters& p) : d_entry(&find_entry(plans(), "plan", p.type)), d_parameters(p)
{
    const PlanEntry& e = *d_entry;
    require(p.steps >= 0 && p.steps <= most_steps, "steps", p.steps, "must lie in 1 .. 10000");
    require(
        p.sigma_min > 0 && p.sigma_min < 1e3f, "sigma_min", p.sigma_min, "must lie in (0, 1000)");
    require(p.sigma_max == 0 || (p.sigma_max > p.sigma_min && p.sigma_max <= 1e6f),
            "sigma_max",
            p.sigma_max,
            "must exceed sigma_min");
    require(p.rho >= 1 && p.rho <= 100, "rho", p.rho, "must lie in 1 .. 100");
    require(p.steps_train >= 0 && p.steps_train <= most_steps,
            "steps_train",
            p.steps_train,
            "must lie in 1 .. 10000");
    require(p.beta_min >= 0 && p.beta_min < 1, "beta_min", p.beta_min, "must lie in (0, 1)");
    require(p.beta_max >= 0 && p.beta_max < 1,
            "beta_max",
            p.beta_max,
            "must lie between beta_min and 1");
    require(
        p.inflation >= 1 && p.inflation <= 1000, "inflation", p.inflation, "must lie in 1 .. 1000");
    require(!e.measured || p.steps <= 1000, "steps", p.steps, "must lie in 1 .. 1000");
    require(p.final || p.steps <= 1, "steps", p.steps, "without 'final' there is one evaluation");
    require(p.end >= 0 && p.end < 1e3f, "end", p.end, "must lie in 0 .. 1000");
    d_steps = p.steps ? p.steps : e.measured ? 1 : 10;
    d_sigma_max = p.sigma_max > 0 ? p.sigma_max : default_sigma_max;
    if (e.grid)
        take_grid();
    else
        require(p.end < p.sigma_min, "end", p.end, "must lie below sigma_min");
}

void Plan::take_grid()
{
    const PlanParameters& p = d_parameters;
    const auto [levels, landing] = grid_of(p);
    const bool list = p.type == "list", own = list || !p.schedule.type.empty();
    for (std::size_t k = 0; k < levels.size(); k++)
        require(float(levels[k]) > 0 && levels[k] <= 1e6 &&
                    (k == 0 || float(levels[k]) < float(levels[k - 1])),
                p.timesteps.empty() ? list ? "sigmas" : "type" : "timesteps",
                levels[k],
                "levels must fall, from at most 10^6 to above 0, in single precision");
    require(levels.size() <= std::size_t(list ? most_steps : most_schedule_steps),
            "sigmas",
            double(levels.size()),
            "are so many: give at most 10000");
    const double top = p.sigma_max > 0 ? p.sigma_max : levels.front();
    const double least = own && !p.least_given ? 0 : p.sigma_min;
    for (std::size_t k = 0; k < levels.size(); k++)
        if (float(levels[k]) <= float(top) && float(levels[k]) >= float(least)) {
            d_grid.push_back(float(levels[k]));
            if (p.stride)
                d_landing.push_back(float(landing[k]));
        }
    require(!d_grid.empty(), "sigma_min", p.sigma_min, "leaves no level of the grid");
    require(p.end <= d_grid.back(), "end", p.end, "must not lie above the last level");
    d_sigma_max = d_grid.front();
    if (!p.steps || p.steps > int(d_grid.size()))
        d_steps = int(d_grid.size());
}

Plan Plan::with_steps(int steps) const
{
    PlanParameters p = d_parameters;
    p.steps = steps;
    return Plan(p);
}

std::vector<float>::const_iterator Plan::below(float start) const
{
    return std::upper_bound(
        d_grid.begin(), d_grid.end(), start, [](float s, float level) { return s > level; });
}

int Plan::count(float start) const
{
    if (d_entry->measured)
        return d_steps;
    if (!d_grid.empty())
        return 1 + std::min(int(d_grid.end() - below(start)), d_steps - 1);
    return start > d_parameters.sigma_min ? d_steps : 1;
}

int Plan::levels(float start, float* out, int most, float* landing) const
{
    const int whole = count(start), wanted = most > 0 ? std::min(whole, most) : whole;
    out[0] = start;
    if (!d_grid.empty()) {
        const auto first = below(start);
        const int left = int(d_grid.end() - first), after = wanted - 1;
        for (int k = 1; k <= after; k++) // evenly thinned, the last one always kept
            out[k] = *(first + (std::int64_t(k) * left + after - 1) / after - 1);
    } else {
        for (int k = 1; k < wanted; k++)
            out[k] = d_entry->measured
                         ? 0.0f
                         : float(d_entry->level(d_parameters, start, double(k) / (wanted - 1)));
    }
    out[wanted] = std::min(end(), start);
    if (landing)
        std::copy(out + 1, out + wanted + 1, landing);
    // Where levels were thinned, or the start is none of the grid, a stride would miss the next one by far.
    for (int k = 0; landing && strides() && k < wanted; k++) {
        const auto at = below(out[k]) - d_grid.begin();
        const bool on = at > 0 && d_grid[std::size_t(at - 1)] == out[k];
        const bool followed = k + 1 == wanted ? at == std::ptrdiff_t(d_grid.size())
                                              : d_grid[std::size_t(at)] == out[k + 1];
        if (on && followed)
            landing[k] = d_landing[std::size_t(at - 1)];
    }
    return wanted;
}

} // namespace core
} // namespace diffsem
} // namespace gr
