/*
 * SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Plans: descending, from the start to 0, of the length they promise; and the levels of elements that
 * start at unlike ones. Walks every registered plan.
 */
#include "check.h"
#include "fixtures.h"

#include <gnuradio/diffsem/core/base/signal.h>
#include <gnuradio/diffsem/core/infer/plan.h>

#include <vector>

using namespace fixtures;

namespace {

std::vector<float> levels(const Plan& plan, float start)
{
    std::vector<float> out(std::size_t(plan.max_steps()) + 1, -1.0f);
    const int count = plan.levels(start, out.data());
    CHECK(count >= 1 && count <= plan.max_steps());
    out.resize(std::size_t(count) + 1);
    return out;
}

void shape_of_every_plan(const std::string& type)
{
    for (int steps : {0, 1, 2, 3, 10, 37}) {
        PlanParameters p;
        p.type = type;
        p.steps = steps;
        const Plan plan(p);
        if (steps)
            CHECK_EQUAL(plan.max_steps(), steps);
        CHECK_EQUAL(int(levels(plan, plan.sigma_max()).size()) - 1, plan.max_steps());
        for (float start : {1000.0f, 3.0f, 1.0f, 0.1f, 0.011f, 0.01f, 0.002f}) {
            const auto l = levels(plan, start);
            CHECK_EQUAL(l.front(), start);
            CHECK_EQUAL(l.back(), 0.0f);
            for (std::size_t k = 1; k < l.size(); k++)
                CHECK(l[k] < l[k - 1]);
            if (l.size() > 2)
                CHECK(l[l.size() - 2] >= 0.0099f);
        }
    }
}

void values()
{
    PlanParameters p;
    p.steps = 3;
    auto l = levels(Plan(p), 1.0f);
    CHECK_NEAR(l[1], 0.1, 1e-6);
    CHECK_NEAR(l[2], 0.01, 1e-7);

    p.type = "karras"; // the table of Karras et al. for 5 steps from 80 to 0.002, from the formula
    p.steps = 5;
    p.sigma_min = 0.002f;
    l = levels(Plan(p), 80.0f);
    const double expected[] = {80.0, 17.5278, 2.5153, 0.16977, 0.002};
    for (std::size_t k = 0; k < 5; k++)
        CHECK_NEAR(l[k], expected[k], 2e-4 * expected[k]);

    p = PlanParameters();
    p.type = "linear_vp"; // A1 of the literature: 100 steps, beta 1e-4 .. 0.1
    const Plan vp(p);
    l = levels(vp, vp.sigma_max());
    CHECK_EQUAL(vp.max_steps(), 100);
    CHECK_NEAR(alpha_bar_from_sigma(l[0]), 0.00562, 1e-5);
    CHECK_NEAR(l[99], std::sqrt(1e-4 / (1 - 1e-4)), 1e-6);
    const auto truncated = levels(vp, 1.0f);
    CHECK(truncated.size() < 60); // fewer steps where the measurement is better
    CHECK(levels(vp, 0.1f).size() < truncated.size());
    CHECK_EQUAL(levels(vp.with_steps(10), 1.0f).size(), 11u);

    p.type = "cosine";
    const Plan cosine(p);
    l = levels(cosine, cosine.sigma_max());
    bool middle = false;
    for (float s : l)
        middle = middle || std::fabs(s - 1.0f) < 0.02f; // alpha_bar = 1/2 near the middle
    CHECK(middle);
}

void elements()
{
    PlanParameters p;
    p.steps = 4;
    const Plan plan(p);
    Sigma start(2, 3);
    const float inf = Sigma::unobserved();
    const float given[] = {1.0f, 0.05f, inf, 0.2f, inf, inf};
    std::copy(given, given + 6, start.item(0));
    Levels levels;
    levels.reserve(2, 3, plan.max_steps());
    levels.prepare(plan, start, plan.sigma_max());
    CHECK_EQUAL(levels.steps(), 4);
    Sigma now;
    levels.now(0, now);
    for (std::size_t i = 0; i < 6; i++)
        CHECK_EQUAL(now.item(0)[i], given[i]);
    levels.next(0, now); // the plan of item 0 starts at 1, of item 1 at 0.2
    CHECK_NEAR(now.at(0, 0), std::pow(0.01, 1 / 3.0), 1e-6);
    CHECK_EQUAL(now.at(0, 1), 0.05f);        // waits
    CHECK_EQUAL(now.at(0, 2), now.at(0, 0)); // jumps from infinity
    CHECK_NEAR(now.at(1, 0), 0.2 * std::pow(0.05, 1 / 3.0), 1e-6);
    CHECK_EQUAL(now.at(1, 1), now.at(1, 0));
    levels.next(3, now);
    for (std::size_t i = 0; i < 6; i++)
        CHECK_EQUAL(now.item(0)[i], 0.0f);
}

// A plan that measures: each step goes down to 0, and the next begins at what the last one left.
void measured_levels()
{
    PlanParameters p;
    p.type = "proximal";
    p.steps = 3;
    const Plan plan(p);
    CHECK(plan.measured() && plan.count(5.0f) == 3);
    Sigma start(1, 2, 0.5f), now;
    Levels levels;
    levels.reserve(1, 2, plan.max_steps());
    levels.prepare(plan, start, plan.sigma_max());
    levels.now(0, now);
    CHECK_EQUAL(now.at(0, 1), 0.5f);
    levels.next(0, now);
    CHECK_EQUAL(now.at(0, 1), 0.0f);
    levels.measure({0.04f, 0.25f});
    levels.now(1, now);
    CHECK_NEAR(now.at(0, 0), 0.2, 1e-7);
    CHECK_EQUAL(now.at(0, 1), 0.5f);
    levels.next(2, now);
    CHECK_EQUAL(now.at(0, 0), 0.0f);
    CHECK_THROWS(plan.with_steps(1001), {"1 .. 1000"});
    p.final = false;
    CHECK_THROWS(Plan{p}, {"one evaluation"});
}

// What the prior's file says, levels of one's own, and where the last step goes.
void grids()
{
    ScheduleKeys of_file;
    of_file.type = "linear_vp";
    of_file.steps = 1000;
    of_file.beta_max = 0.02;
    PlanParameters p;
    p.type = "linear_vp";
    inherit_schedule(p, of_file, 0.5f);
    CHECK_EQUAL(Plan(p).max_steps(), 1000);
    CHECK_NEAR(Plan(p).sigma_max(), std::sqrt(1 / 4.0358e-5 - 1) / 0.5, 0.05); // in our units
    CHECK_NEAR(
        levels(Plan(p), Plan(p).sigma_max())[999], 0.02, 1e-5); // 0.01 / 0.5: none is cut off
    p.beta_max = 0.01;                                          // what is said wins
    CHECK(Plan(p).sigma_max() < 30);
    p = PlanParameters();
    p.type = "cosine"; // another: as it is by itself
    inherit_schedule(p, of_file, 0.5f);
    CHECK_EQUAL(Plan(p).sigma_max(), [] {
        PlanParameters q;
        q.type = "cosine";
        return Plan(q).sigma_max();
    }());

    p = PlanParameters();
    p.type = "schedule";
    CHECK_THROWS(Plan{p}, {"no prior's file"});
    CHECK_THROWS(inherit_schedule(p, ScheduleKeys(), 1),
                 {"states no schedule", "diffsem.schedule"});
    inherit_schedule(p, of_file, 1);
    p.steps = 50;
    p.spacing = Spacing::leading;
    p.steps_offset = 1;
    p.end = 0.005f;
    const auto logs = log_levels(of_file, "here");
    const Plan leading(p);
    auto l = levels(leading, leading.sigma_max());
    CHECK_EQUAL(l.size(), 51u);
    CHECK_NEAR(l[0], std::exp(logs[981]), 1e-4);
    CHECK_NEAR(l[49], std::exp(logs[1]), 1e-7);
    CHECK_EQUAL(l[50], 0.005f);
    l = levels(leading, 1.0f); // those of the fifty that lie below the start
    CHECK(l.size() > 10 && l.size() < 40);
    CHECK_NEAR(l[l.size() - 2], std::exp(logs[1]), 1e-7);
    CHECK_EQUAL(levels(leading.with_steps(10), leading.with_steps(10).sigma_max())[0],
                float(std::exp(logs[901])));
    CHECK_EQUAL(levels(leading, 0.001f).back(), 0.001f); // no way up to the end

    p = PlanParameters();
    p.type = "list";
    CHECK_THROWS(Plan{p}, {"give its levels, 'sigmas'"});
    p.sigmas = {10, 5, 1, 0.001};
    l = levels(Plan(p), 10.0f);
    CHECK((l == std::vector<float>{10, 5, 1, 0.001f, 0}));
    CHECK((levels(Plan(p), 3.0f) == std::vector<float>{3, 1, 0.001f, 0}));
    CHECK_EQUAL(Plan(p).with_steps(2).max_steps(), 2);
    p.sigmas = {1, 5};
    CHECK_THROWS(Plan{p}, {"plan.sigmas", "must fall"});
    p.sigmas = {};
    p.timesteps = {900, 400.5, 0};
    CHECK_THROWS(inherit_schedule(p, ScheduleKeys(), 1), {"plan.timesteps"});
    inherit_schedule(p, of_file, 1);
    l = levels(Plan(p), 100.0f);
    CHECK_EQUAL(l.size(), 4u); // cut to the evaluations of pure noise: the start is one of them
    l = levels(Plan(p), Plan(p).sigma_max());
    CHECK_NEAR(l[0], std::exp(logs[900]), 1e-4);
    CHECK_NEAR(l[1], std::exp(0.5 * (logs[400] + logs[401])), 1e-5);
    CHECK_NEAR(l[2], std::exp(logs[0]), 1e-6);
    p.timesteps = {1000, 0};
    CHECK_THROWS(Plan{p}, {"step 1000", "0 .. 999", "timesteps"});
    p.sigmas = {1};
    CHECK_THROWS(Plan{p}, {"one of the two"});
}

// An item whose plan is shorter stays where it ended while the others go on.
void ends()
{
    PlanParameters p;
    p.type = "list";
    p.sigmas = {10, 5, 1, 0.5};
    p.end = 0.2f;
    const Plan plan(p);
    Sigma start(2, 1), now;
    start.item(0)[0] = 10;
    start.item(1)[0] = 0.8f;
    Levels levels;
    levels.reserve(2, 1, plan.max_steps());
    levels.prepare(plan, start, plan.sigma_max());
    CHECK_EQUAL(levels.steps(), 4);
    for (int k = 1; k < 4; k++) {
        levels.next(k, now);
        CHECK_EQUAL(now.at(1, 0), 0.2f);
    }
    CHECK_EQUAL(now.at(0, 0), 0.2f);
    p.end = 0.6f;
    CHECK_THROWS(Plan{p}, {"plan.end", "above the last level"});
}

void errors()
{
    const auto bad = [](auto change) {
        PlanParameters p;
        change(p);
        return Plan(p);
    };
    CHECK_THROWS(bad([](auto& p) { p.type = "linear"; }), {"'linear' is unknown", "linear_vp"});
    CHECK_THROWS(bad([](auto& p) { p.steps = -1; }), {"plan.steps", "1 .. 10000"});
    CHECK_THROWS(bad([](auto& p) { p.sigma_min = 0; }), {"plan.sigma_min"});
    CHECK_THROWS(bad([](auto& p) { p.sigma_max = 0.001f; }), {"plan.sigma_max", "exceed"});
    CHECK_THROWS(bad([](auto& p) { p.rho = NAN; }), {"plan.rho"});
    CHECK_THROWS(bad([](auto& p) { p.beta_max = 2; }), {"plan.beta_max"});
    CHECK_THROWS(bad([](auto& p) {
                     p.type = "linear_vp";
                     p.sigma_min = 100;
                 }),
                 {"no level of the grid"});
}

} // namespace

int main()
{
    for (const auto& name : fixtures::fixed_plans())
        shape_of_every_plan(name);
    values();
    elements();
    measured_levels();
    grids();
    ends();
    errors();
    return check::result("plan");
}
