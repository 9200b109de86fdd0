/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <gnuradio/diffsem/core/infer/plan.h>

#include <gnuradio/diffsem/core/base/error.h>
#include <gnuradio/diffsem/core/base/signal.h>

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

std::vector<float> linear_vp(const PlanParameters& p)
{
    std::vector<float> grid;
    const int n = p.steps_train ? p.steps_train : 100;
    double ab = 1;
    for (int t = 0; t < n; t++) {
        ab *= 1.0 - (p.beta_min + (double(p.beta_max) - p.beta_min) * t / std::max(n - 1, 1));
        grid.push_back(float(sigma_from_alpha_bar(ab)));
    }
    return grid;
}

std::vector<float> cosine(const PlanParameters& p)
{
    std::vector<float> grid;
    const int n = p.steps_train ? p.steps_train : 1000;
    const auto f = [n](int t) {
        return std::pow(std::cos((double(t) / n + 0.008) / 1.008 * 1.57079632679489661923), 2);
    };
    double ab = 1;
    for (int t = 1; t <= n; t++) {
        ab *= 1.0 - std::min(0.999, 1.0 - f(t) / f(t - 1));
        grid.push_back(float(sigma_from_alpha_bar(ab)));
    }
    return grid;
}

constexpr int most_steps = 10000;
constexpr float default_sigma_max = 100.0f;

void require(bool fits, const char* key, double value, const char* remedy)
{
    if (!fits)
        throw Error("plan." + std::string(key) + " = " + Json(value).dump() + ": " + remedy);
}

const Key steps = {"steps", "evaluations from pure noise (10; of a grid: all its levels)"};
const Key sigma_min = {"sigma_min",
                       "last level before 0, relative to a signal of unit power (0.01)"};
const Key sigma_max = {"sigma_max", "first level of pure noise (100; of a grid: its end)"};
const Key steps_train = {"steps_train", "length of the grid (linear_vp 100, cosine 1000)"};

} // namespace

const std::vector<const PlanEntry*>& plans()
{
    static const PlanEntry
        of_geometric = {{"geometric",
                         "Levels in a geometric series from the start to sigma_min.",
                         {steps, sigma_min, sigma_max}},
                        geometric,
                        nullptr,
                        false},
        of_karras = {{"karras",
                      "Levels whose rho-th roots are evenly spaced (Karras et al. 2022, eq. 5).",
                      {steps, sigma_min, sigma_max, {"rho", "1 .. 100 (7)"}}},
                     karras,
                     nullptr,
                     false},
        of_linear_vp = {{"linear_vp",
                         "The grid of a variance-preserving process with linear beta (Ho et al. "
                         "2020), thinned evenly.",
                         {steps,
                          sigma_min,
                          sigma_max,
                          steps_train,
                          {"beta_min", "first beta (1e-4)"},
                          {"beta_max", "last beta (0.1)"}}},
                        nullptr,
                        linear_vp,
                        false},
        of_cosine = {{"cosine",
                      "The cosine grid (Nichol and Dhariwal 2021, eq. 17), thinned evenly.",
                      {steps, sigma_min, sigma_max, steps_train}},
                     nullptr,
                     cosine,
                     false},
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
            nullptr,
            true};
    static const std::vector<const PlanEntry*> table = {
        &of_geometric, &of_karras, &of_linear_vp, &of_cosine, &of_proximal};
    return table;
}

PlanParameters read_plan(const Fields& f)
{
    PlanParameters p;
    p.type = f.text("type");
    p.steps = f.integer("steps", 0);
    if (f.has("steps") && p.steps < 1)
        f.fail("steps", "must be at least 1");
    p.sigma_min = float(f.number("sigma_min", p.sigma_min));
    p.sigma_max = float(f.number("sigma_max", p.sigma_max));
    p.rho = float(f.number("rho", p.rho));
    p.steps_train = f.integer("steps_train", 0);
    p.beta_min = float(f.number("beta_min", p.beta_min));
    p.beta_max = float(f.number("beta_max", p.beta_max));
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
    require(p.beta_min > 0 && p.beta_min < 1, "beta_min", p.beta_min, "must lie in (0, 1)");
    require(p.beta_max >= p.beta_min && p.beta_max < 1,
            "beta_max",
            p.beta_max,
            "must lie between beta_min and 1");
    require(
        p.inflation >= 1 && p.inflation <= 1000, "inflation", p.inflation, "must lie in 1 .. 1000");
    require(!e.measured || p.steps <= 1000, "steps", p.steps, "must lie in 1 .. 1000");
    require(p.final || p.steps <= 1, "steps", p.steps, "without 'final' there is one evaluation");
    d_steps = p.steps ? p.steps : e.measured ? 1 : 10;
    d_sigma_max = p.sigma_max > 0 ? p.sigma_max : default_sigma_max;
    if (e.grid) {
        d_grid = e.grid(p);
        std::reverse(d_grid.begin(), d_grid.end());
        const float top = p.sigma_max > 0 ? p.sigma_max : d_grid.front();
        d_grid.erase(std::remove_if(d_grid.begin(),
                                    d_grid.end(),
                                    [&](float s) { return s > top || s < p.sigma_min; }),
                     d_grid.end());
        require(!d_grid.empty(), "sigma_min", p.sigma_min, "leaves no level of the grid");
        d_sigma_max = d_grid.front();
        if (!p.steps || p.steps > int(d_grid.size()))
            d_steps = int(d_grid.size());
    }
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

int Plan::levels(float start, float* out, int most) const
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
    out[wanted] = 0.0f;
    return wanted;
}

void Levels::reserve(std::size_t max_batch, std::size_t elements, int steps)
{
    d_start.resize(max_batch, std::max<std::size_t>(elements, 1));
    d_count.reserve(max_batch);
    d_planned.reserve(max_batch);
    if (d_table.size() < max_batch * std::size_t(steps + 1))
        d_table.resize(max_batch * std::size_t(steps + 1));
}

void Levels::prepare(const Plan& plan, const Sigma& start, float fallback, int most)
{
    const std::size_t batch = start.batch();
    d_start.resize(batch, start.stride());
    std::copy(start.item(0), start.item(0) + batch * start.stride(), d_start.item(0));
    d_row = std::size_t(plan.max_steps() + 1);
    if (d_table.size() < batch * d_row)
        d_table.resize(batch * d_row);
    d_count.resize(batch);
    d_planned.resize(batch);
    d_steps = 0;
    d_measured = plan.measured();
    for (std::size_t b = 0; b < batch; b++) {
        float top = 0;
        for (std::size_t i = 0; i < start.stride(); i++)
            if (std::isfinite(start.item(b)[i]))
                top = std::max(top, start.item(b)[i]);
        const float from = top > 0 ? top : fallback;
        d_count[b] = plan.levels(from, &d_table[b * d_row], most);
        d_planned[b] = plan.count(from);
        std::fill(&d_table[b * d_row] + d_count[b], d_table.data() + (b + 1) * d_row, 0.0f);
        d_steps = std::max(d_steps, d_count[b]);
    }
}

void Levels::get(int step, Sigma& out) const
{
    const std::size_t batch = d_start.batch(), stride = d_start.stride();
    out.resize(batch, stride);
    for (std::size_t b = 0; b < batch; b++)
        for (std::size_t i = 0; i < stride; i++) {
            const float start = d_start.item(b)[i];
            out.item(b)[i] =
                step == 0 ? start : std::min(start, d_table[b * d_row + std::size_t(step)]);
        }
}

void Levels::now(int step, Sigma& out) const
{
    get(d_measured ? 0 : step, out);
}

void Levels::next(int step, Sigma& out) const
{
    get(step + 1, out);
}

void Levels::measure(const std::vector<float>& variance)
{
    for (std::size_t i = 0; i < d_start.batch() * d_start.stride(); i++)
        d_start.item(0)[i] = std::sqrt(variance[i]);
}

Levels Levels::list(std::size_t batch, const std::vector<float>& levels)
{
    Levels l;
    l.d_steps = int(levels.size()) - 1;
    l.d_row = levels.size();
    l.d_start = Sigma(batch, 1, levels.front());
    l.d_count.assign(batch, l.d_steps);
    l.d_planned = l.d_count;
    for (std::size_t b = 0; b < batch; b++)
        l.d_table.insert(l.d_table.end(), levels.begin(), levels.end());
    return l;
}

} // namespace core
} // namespace diffsem
} // namespace gr
