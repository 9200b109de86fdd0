/*
 * SPDX-License-Identifier: GPL-3.0-or-later
 *
 * The window over symbols: who is answered when, with what before and behind it.
 */
#include "check.h"

#include <gnuradio/diffsem/core/link/grid_window.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

using namespace gr::diffsem::core;

namespace {

constexpr int n = 8;

//! Pilots at DC in every symbol; the symbol's number is what is received there.
GridPilots plain()
{
    return GridPilots(n, {0, 1, 2}, {{{0}, {1}}}, {-3, -2});
}

std::vector<cfloat> numbered(int number)
{
    std::vector<cfloat> symbol(n, cfloat(float(number), 0));
    symbol[1] = symbol[2] = {0, 0.5f}; // the empty carriers
    return symbol;
}

void everyone_is_answered_in_time()
{
    const auto pilots = plain();
    for (int window = 1; window <= 20; window++)
        for (int latency = -1; latency < window; latency++) {
            GridWindow w(pilots, window, latency, false);
            const int most = latency < 0 ? window - 1 : latency;
            CHECK(w.hop() >= 1 && w.hop() + w.ahead() <= std::size_t(most + 1));
            int answered = 0;
            for (int s = 0; s < 100; s++) {
                CHECK(!w.due());
                w.push(numbered(s).data(), 0);
                // What lies in the window: the last symbols in their order, as many as there is room for.
                std::size_t rows = 0;
                while (rows < w.rows() && std::isfinite(w.noise_gain()[rows * 3]))
                    rows++;
                for (std::size_t r = 0; r < rows; r++)
                    CHECK(w.taps()[r * 3] == cfloat(float(s - int(rows - 1 - r))));
                for (std::size_t r = rows; r < w.rows(); r++)
                    CHECK(std::isinf(w.noise_gain()[r * 3]));
                if (!w.due())
                    continue;
                CHECK_EQUAL(rows, std::min<std::size_t>(std::size_t(s + 1), w.rows())); // whole
                for (std::size_t i = 0; i < w.hop(); i++, answered++) {
                    CHECK(w.symbol(w.at() + i)[4] == cfloat(float(answered)));
                    CHECK(s - answered <= most);
                }
                w.give(w.hop());
            }
            CHECK_EQUAL(std::size_t(100 - answered), w.pending());
            CHECK(w.pending() < w.hop() + w.ahead());
        }
    const GridWindow sixteen(pilots, 16, -1, false), none(pilots, 16, 0, false);
    CHECK(sixteen.hop() == 8 && sixteen.ahead() == 4);
    CHECK(none.hop() == 1 && none.ahead() == 0);
}

void what_is_not_finite_measures_nothing()
{
    const auto pilots = plain();
    GridWindow w(pilots, 4, 3, false);
    auto bad = numbered(2);
    bad[7] = {std::numeric_limits<float>::quiet_NaN(), 0};
    w.push(numbered(3).data(), 0);
    w.push(bad.data(), 0);
    CHECK(w.finite(0) && !w.finite(1));
    CHECK(std::isinf(w.noise_gain()[3]) && w.taps()[3] == cfloat(0));
    CHECK_EQUAL(w.noise().count, 2.0); // of the first alone
    CHECK_NEAR(w.noise().mean(), 0.25, 1e-6);
    CHECK_NEAR(w.pilot_power(), 9, 1e-6);
}

void a_restart_forgets()
{
    const auto pilots = plain();
    GridWindow w(pilots, 4, 3, false);
    CHECK(w.empty() && w.pilot_power() == 0 && std::isnan(w.noise().mean()));
    w.push(numbered(3).data(), 0);
    w.give(1);
    w.restart();
    CHECK(w.empty() && w.pending() == 0 && w.noise().count == 0);
    CHECK(std::isinf(w.noise_gain()[0]));
}

void refusals()
{
    const auto pilots = plain();
    CHECK_THROWS(GridWindow(pilots, 0, -1, false), {"window is 0", "give 1 to"});
    CHECK_THROWS(GridWindow(pilots, 5000, -1, false), {"window is 5000"});
    CHECK_THROWS(GridWindow(pilots, 4, 4, false), {"latency is 4", "0 to 3"});
    CHECK_THROWS(GridWindow(pilots, 4, -2, false), {"latency is -2"});
    const GridPilots two(n, {0, 1}, {{{0}, {1}}, {{1}, {1}}}, {-3});
    CHECK_THROWS(GridWindow(two, 1, -1, false), {"repeat after 2"});
    CHECK_EQUAL(GridWindow(two, 1, -1, true).hop(), std::size_t(1));
}

} // namespace

int main()
{
    everyone_is_answered_in_time();
    what_is_not_finite_measures_nothing();
    a_restart_forgets();
    refusals();
    return check::result("test_grid_window");
}
