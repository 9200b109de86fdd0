/*
 * SPDX-License-Identifier: GPL-3.0-or-later
 *
 * The preamble correlator: false alarms as asked for, preambles found in noise at any offset, timing that
 * keeps all paths in the prefix, and the offset's accuracy.
 */
#include "check.h"

#include <gnuradio/diffsem/core/link/preamble.h>

#include <algorithm>
#include <random>
#include <vector>

using namespace gr::diffsem::core;

namespace {

constexpr int n_fft = 64, cp = 16;
constexpr double pi = 3.14159265358979323846;

std::mt19937 engine(11);

std::vector<cfloat> word()
{
    std::vector<cfloat> w(n_fft, 0);
    for (int k = 6; k <= 58; k++)
        if (k != 32)
            w[k] = engine() & 1 ? 1.0f : -1.0f;
    return w;
}

std::vector<cfloat> noise(std::size_t n, float variance)
{
    std::normal_distribution<float> normal(0, std::sqrt(variance / 2));
    std::vector<cfloat> x(n);
    for (auto& v : x)
        v = cfloat(normal(engine), normal(engine));
    return x;
}

struct Scores {
    std::vector<float> score;
    std::vector<std::uint8_t> grid;
};

Scores scores_of(PreambleCorrelator& correlator, const std::vector<cfloat>& x)
{
    const int n = static_cast<int>(x.size()) - correlator.reach() + 1;
    Scores s{std::vector<float>(n), std::vector<std::uint8_t>(n)};
    correlator.scores(x.data(), n, s.score.data(), s.grid.data());
    return s;
}

void false_alarms_are_as_asked(const std::vector<cfloat>& a, const std::vector<cfloat>& b)
{
    PreambleCorrelator correlator(a, b, cp, 2.25f, 1e-3);
    for (float variance : {1.0f, 1e-8f, 1e8f}) {
        const auto s = scores_of(correlator, noise(100000, variance));
        const auto above = std::count_if(
            s.score.begin(), s.score.end(), [&](float v) { return v > correlator.threshold(); });
        CHECK_BELOW(above, 300);
        CHECK_BELOW(10, above);
    }
    const auto silent = scores_of(correlator, std::vector<cfloat>(1000, 0));
    CHECK_EQUAL(*std::max_element(silent.score.begin(), silent.score.end()), 0.0f);
}

void preambles_are_found(const std::vector<cfloat>& a,
                         const std::vector<cfloat>& b,
                         const std::vector<float>& path_power)
{
    PreambleCorrelator correlator(a, b, cp, 2.25f, 1e-4);
    const int last = static_cast<int>(path_power.size()) - 1;
    int found = 0, inside = 0, runs = 200;
    double square = 0;
    for (int run = 0; run < runs; run++) {
        const double offset = -2.2 + 4.4 * run / (runs - 1);
        const int start = 150 + run % 40;
        auto x = noise(700, 1.0f); // 0 dB for the sum of the paths
        for (int d = 0; d <= last; d++) {
            const cfloat g =
                cfloat(std::polar(std::sqrt(double(path_power[d])), 0.7 * run + d * d));
            for (int i = 0; i < static_cast<int>(correlator.samples().size()); i++)
                x[start + d + i] += g * correlator.samples()[i] *
                                    cfloat(std::polar(1.0, 2 * pi * offset * i / n_fft));
        }
        const auto s = scores_of(correlator, x);
        const auto best = std::max_element(s.score.begin(), s.score.end());
        const int t = static_cast<int>(best - s.score.begin());
        if (*best < correlator.threshold() || std::abs(t - start) > 20)
            continue;
        found++;
        inside += t <= start && start + last <= t + cp; // all paths within the prefix
        const double error = correlator.refine(&x[t], s.grid[t]) - offset;
        square += error * error;
    }
    CHECK_BELOW(0.99 * runs, found);
    CHECK_BELOW(0.97 * runs, inside);
    CHECK_BELOW(std::sqrt(square / found), 0.04);
}

void positions_do_not_depend_on_how_they_are_asked_for(const std::vector<cfloat>& a,
                                                       const std::vector<cfloat>& b)
{
    PreambleCorrelator correlator(a, b, cp, 1.0f, 1e-4);
    const auto x = noise(4000, 2.0f);
    const auto all = scores_of(correlator, x);
    for (int first : {0, 1, 777, 2100}) {
        float score = 0;
        std::uint8_t grid = 0;
        correlator.scores(&x[first], 1, &score, &grid);
        CHECK_NEAR(score, all.score[first], 1e-3);
        CHECK_EQUAL(int(grid), int(all.grid[first]));
    }
}

void wrong_parameters_are_named(const std::vector<cfloat>& a, const std::vector<cfloat>& b)
{
    CHECK_THROWS(PreambleCorrelator({}, {}, cp, 1, 1e-4), {"sync_words"});
    CHECK_THROWS(PreambleCorrelator(a, b, 0, 1, 1e-4), {"cp_len is 0"});
    CHECK_THROWS(PreambleCorrelator(a, b, cp, 4, 1e-4), {"max_offset is 4"});
    CHECK_THROWS(PreambleCorrelator(a, b, cp, 1, 0.5), {"false_alarm is 0.5"});
    const std::vector<cfloat> zero(n_fft, 0);
    CHECK_THROWS(PreambleCorrelator(zero, zero, cp, 1, 1e-4), {"zero on all carriers"});
}

} // namespace

int main()
{
    const auto a = word(), b = word();
    false_alarms_are_as_asked(a, b);
    preambles_are_found(a, b, {1.0f});
    preambles_are_found(a, b, {0.5f, 0.0f, 0.3f, 0.0f, 0.0f, 0.1f, 0.0f, 0.1f});
    positions_do_not_depend_on_how_they_are_asked_for(a, b);
    wrong_parameters_are_named(a, b);
    return check::result("preamble");
}
