/*
 * SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Schedules against their definitions, and the steps that diffusers 0.42.1 visits (set_timesteps of its schedulers).
 */
#include "check.h"

#include <gnuradio/diffsem/core/base/error.h>
#include <gnuradio/diffsem/core/priors/schedule.h>

#include <cmath>
#include <vector>

using namespace gr::diffsem::core;

namespace {

double alpha_bar(double log_sigma)
{
    return 1 / (1 + std::exp(2 * log_sigma));
}

ScheduleKeys keys(const char* type, int steps = 0, double low = 0, double high = 0)
{
    ScheduleKeys k;
    k.type = type;
    k.steps = steps;
    k.beta_min = low;
    k.beta_max = high;
    return k;
}

void values()
{
    // The first step holds one beta alone; the last of Ho et al. is 4.04e-5 (their 1000 steps up to 0.02).
    auto l = log_levels(keys("linear_vp"), "here");
    CHECK_EQUAL(l.size(), 1000u);
    CHECK_NEAR(alpha_bar(l.front()), 1 - 1e-4, 1e-12);
    CHECK_NEAR(alpha_bar(l.back()), 4.0358e-5, 1e-8);
    // Latent diffusion: alphas_cumprod[-1] is 0.00466 (Lin et al. 2024, table 1: sqrt 0.068265).
    l = log_levels(keys("scaled_linear", 1000, 0.00085, 0.012), "here");
    CHECK_NEAR(std::sqrt(alpha_bar(l.back())), 0.068265, 1e-6);
    CHECK_NEAR(alpha_bar(l.front()), 1 - 0.00085, 1e-12);
    // Nichol and Dhariwal: cos^2 over its value at 0, where no beta is limited.
    l = log_levels(keys("cosine", 100), "here");
    const auto f = [](double u) { return std::pow(std::cos((u + 0.008) / 1.008 * M_PI / 2), 2); };
    CHECK_NEAR(alpha_bar(l[49]), f(0.5) / f(0), 1e-12);
    ScheduleKeys given = keys("alphas_cumprod");
    given.alphas_cumprod = {0.9, 0.5, 0.2};
    l = log_levels(given, "here");
    CHECK_NEAR(l[1], 0, 1e-12);
    CHECK_NEAR(log_level_at(l, 1.5), 0.5 * (l[1] + l[2]), 1e-12);
    CHECK_EQUAL(log_level_at(l, 2), l[2]);
}

void inheritance()
{
    const ScheduleKeys of_file = keys("linear_vp", 1000, 1e-4, 0.02);
    const ScheduleKeys own = completed(keys("linear_vp", 0, 0, 0.05), of_file);
    CHECK_EQUAL(own.steps, 1000);
    CHECK_EQUAL(own.beta_max, 0.05);
    CHECK_EQUAL(own.beta_min, 1e-4);
    CHECK_EQUAL(completed(keys("cosine"), of_file).steps, 0);
    const Json json = schedule_json(own);
    const ScheduleKeys again =
        read_schedule(Fields(json, "here", {"type", "steps", "beta_min", "beta_max"}));
    CHECK_EQUAL(again.beta_max, 0.05);
    CHECK_EQUAL(again.steps, 1000);
}

void visited()
{
    using steps = std::vector<int>;
    const auto at = [](Spacing s, int t, int n, int offset = 0, bool last = false) {
        return spaced_steps(s, t, n, offset, last);
    };
    CHECK((at(Spacing::even, 4, 2) == steps{3, 2, 1, 0}));
    CHECK((at(Spacing::leading, 1000, 4) == steps{750, 500, 250, 0}));
    CHECK((at(Spacing::leading, 1000, 3, 1) == steps{667, 334, 1}));
    CHECK((at(Spacing::trailing, 1000, 3) == steps{999, 666, 332}));
    CHECK((at(Spacing::linspace, 1000, 4) == steps{999, 666, 333, 0}));
    CHECK((at(Spacing::linspace, 10, 3) == steps{9, 4, 0})); // 4.5: to the even one
    CHECK((at(Spacing::linspace, 1000, 1) == steps{0}));
    CHECK((at(Spacing::linspace, 1000, 4, 0, true) == steps{999, 749, 500, 250})); // DPM-Solver
    CHECK((at(Spacing::leading, 1000, 4, 1, true) == steps{801, 601, 401, 201}));
    CHECK_EQUAL(at(Spacing::leading, 10, 99).size(), 10u);
}

void errors()
{
    CHECK_THROWS(log_levels(keys("linear"), "here"), {"here", "'linear'", "linear_vp"});
    CHECK_THROWS(log_levels(keys("linear_vp", 1), "here"), {"2 to 100000"});
    CHECK_THROWS(log_levels(keys("linear_vp", 9, 0.5, 0.1), "here"), {"beta_min <= beta_max"});
    CHECK_THROWS(log_levels(keys("alphas_cumprod"), "here"), {"found 0"});
    ScheduleKeys given = keys("alphas_cumprod");
    for (const auto& bad : {std::vector<double>{0.5, 0.5},
                            std::vector<double>{1.0, 0.5},
                            std::vector<double>{0.5, 0.0},
                            std::vector<double>{0.5, NAN}}) {
        given.alphas_cumprod = bad;
        CHECK_THROWS(log_levels(given, "here"), {"alphas_cumprod[", "must fall"});
    }
}

} // namespace

int main()
{
    values();
    inheritance();
    visited();
    errors();
    return check::result("schedule");
}
