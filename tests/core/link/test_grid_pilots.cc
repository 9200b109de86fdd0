/*
 * SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Pilots on a grid: where they lie, what they measure, the noise they show, lines between them, and what is refused.
 */
#include "check.h"

#include <gnuradio/diffsem/core/link/grid_pilots.h>

#include <cmath>
#include <random>
#include <vector>

using namespace gr::diffsem::core;

namespace {

std::vector<int> range(int from, int to, int step = 1)
{
    std::vector<int> out;
    for (int k = from; k < to; k += step)
        out.push_back(k);
    return out;
}

SymbolPilots pilots(const std::vector<int>& carriers, cfloat value = 1)
{
    return {carriers, std::vector<cfloat>(carriers.size(), value)};
}

cfloat normal(std::mt19937& random, double variance)
{
    std::normal_distribution<float> d(0, float(std::sqrt(variance / 2)));
    return {d(random), d(random)};
}

template <typename F>
void refused(const char* words, F make)
{
    CHECK_THROWS(make(), {words});
}

void where_pilots_lie()
{
    const GridPilots grid(16, {-5, -3, -2, 0, 1, 4}, {pilots({-5, 4}, {0, 2}), {}, pilots({1})});
    CHECK_EQUAL(grid.first(), std::size_t(3));
    CHECK_EQUAL(grid.columns(), std::size_t(10));
    CHECK_EQUAL(grid.period(), std::size_t(3));
    std::vector<cfloat> symbol(16), taps(10);
    std::vector<float> gain(10);
    for (int k = 0; k < 16; k++)
        symbol[std::size_t(k)] = {float(k), 1};
    grid.measure(symbol.data(), 0, taps.data(), gain.data());
    CHECK_NEAR(std::abs(taps[0] - cfloat(3, 1) / cfloat(0, 2)), 0, 1e-6);
    CHECK_NEAR(std::abs(taps[9] - cfloat(12, 1) / cfloat(0, 2)), 0, 1e-6);
    CHECK_NEAR(gain[9], 0.25, 1e-6);
    for (std::size_t c = 1; c < 9; c++)
        CHECK(taps[c] == cfloat(0) && std::isinf(gain[c]));
    grid.measure(symbol.data(), 1, taps.data(), gain.data());
    CHECK(std::isinf(gain[0]) && std::isinf(gain[9]));
    grid.measure(symbol.data(), 2, taps.data(), gain.data());
    CHECK(taps[6] == cfloat(9, 1) && gain[6] == 1);
}

//! Of a channel that lasts a 40th of a symbol, seen at these pilots: the mean of what is measured, over what it is.
double seen_noise(const GridPilots& grid, double value, const std::vector<int>& carriers)
{
    std::mt19937 random(1);
    const std::size_t n = grid.fft_len();
    const double variance = 0.03;
    NoiseSum all;
    std::vector<cfloat> taps(grid.columns());
    std::vector<float> gain(grid.columns());
    for (int trial = 0; trial < 200; trial++) {
        std::vector<cfloat> symbol(n);
        const cfloat a = normal(random, 1), b = normal(random, 0.5);
        for (auto& y : symbol)
            y = normal(random, variance);
        for (const int k : carriers)
            symbol[std::size_t(k + int(n / 2))] +=
                cfloat(value) * (a + b * std::polar(1.0f, -2 * float(M_PI) * float(k) / 40.0f));
        grid.measure(symbol.data(), 0, taps.data(), gain.data());
        all.add(grid.noise(symbol.data(), taps.data(), 0));
    }
    CHECK(all.count >= 200 * 4);
    return all.mean() / variance;
}

void noise_of_pilots()
{
    // Every sixth carrier, boosted: the longest window that leaves something is found.
    const auto comb = range(-150, 150, 6);
    const GridPilots grid(512, range(-150, 150), {pilots(comb, 2)});
    CHECK(grid.noise_error().empty());
    CHECK_EQUAL(grid.delay_window(), 512.0f / 16);
    CHECK_NEAR(seen_noise(grid, 2, comb), 1, 0.06);
    // All carriers: a quarter of a symbol.
    const auto whole = range(-150, 150);
    const GridPilots dense(512, whole, {pilots(whole), pilots({1, 2})});
    CHECK_EQUAL(dense.delay_window(), 128.0f);
    CHECK_NEAR(seen_noise(dense, 1, whole), 1, 0.03);
    // Four pilots say nothing.
    const GridPilots few(64, range(-26, 27), {pilots({-21, -7, 7, 21})});
    CHECK(few.noise_error().find("give noise_var") != std::string::npos);
    const std::vector<cfloat> symbol(64, 1), taps(53, 1);
    CHECK_EQUAL(few.noise(symbol.data(), taps.data(), 0).count, 0.0);
    // A window that was given and is too long is no other.
    const GridPilots longer(512, range(-150, 150), {pilots(comb)}, {}, 128);
    CHECK(longer.noise_error().find("128") != std::string::npos);
}

void noise_of_empty_carriers()
{
    const auto null = range(-30, -26);
    const GridPilots grid(64, range(-26, 27), {pilots({-21, 21}, 3), {}}, null);
    CHECK(grid.noise_error().empty());
    std::vector<cfloat> symbol(64, 5);
    for (std::size_t k = 2; k < 6; k++)
        symbol[k] = {0, 0.5f};
    for (std::size_t phase : {0, 1}) {
        const auto noise = grid.noise(symbol.data(), nullptr, phase);
        CHECK_EQUAL(noise.count, 4.0);
        CHECK_NEAR(noise.mean(), 0.25, 1e-6);
    }
}

void lines_between_pilots()
{
    // A plane is its own interpolation inside; beyond the outermost pilots it is held.
    const GridPilots grid(32, range(-6, 7), {pilots({-4, 4}), {}, pilots({0}), {}});
    constexpr std::size_t rows = 9, columns = 13;
    const auto plane = [](std::size_t r, std::size_t c) {
        return cfloat(float(r) + 2 * float(c), float(c) - 3);
    };
    std::vector<cfloat> taps(rows * columns), out(rows * columns), symbol(32);
    std::vector<float> gain(rows * columns);
    for (std::size_t r = 0; r < rows; r++) {
        for (std::size_t c = 0; c < columns; c++)
            symbol[grid.first() + c] = plane(r, c);
        grid.measure(symbol.data(), r % 4, &taps[r * columns], &gain[r * columns]);
    }
    grid.interpolate(taps.data(), gain.data(), rows, out.data());
    for (std::size_t r = 2; r <= 6; r++)
        for (std::size_t c = 2; c <= 10; c++)
            CHECK_NEAR(std::abs(out[r * columns + c] - plane(r, c)), 0, 1e-5);
    for (std::size_t r = 2; r <= 6; r++) {
        CHECK(out[r * columns] == out[r * columns + 2] &&
              out[r * columns + 12] == out[r * columns + 10]);
    }
    CHECK(out[6] == out[2 * columns + 6]); // before the middle's first pilot
    // Nothing measured.
    std::fill(gain.begin(), gain.end(), INFINITY);
    grid.interpolate(taps.data(), gain.data(), rows, out.data());
    for (const auto& v : out)
        CHECK(v == cfloat(0));
}

void windows()
{
    const auto used = range(-12, 12);
    const GridPilots dvb(32, used, {pilots({0}), pilots({3}), pilots({6}), pilots({9})});
    dvb.check_window(4, false);
    dvb.check_window(1, true);
    refused("places of pilots repeat after 4", [&] { dvb.check_window(3, false); });
    // The values of a pattern may repeat later than its places.
    std::vector<SymbolPilots> lte;
    for (int i = 0; i < 20; i++)
        lte.push_back(i % 5 ? SymbolPilots{} : pilots({0, 6}, {float(i + 1), 0}));
    const GridPilots slow(32, used, lte);
    slow.check_window(5, false);
    refused("4 symbols in a row without any: give at least 5", [&] { slow.check_window(4, true); });
    // The longest gap may lie over the end of the period.
    const GridPilots around(32, used, {{}, {}, pilots({1}), {}, {}});
    refused("4 symbols in a row", [&] { around.check_window(4, true); });
}

void refusals()
{
    const auto used = range(-26, 27);
    const auto make =
        [](int n, const std::vector<int>& occupied, const std::vector<SymbolPilots>& p) {
            return [=] { GridPilots(n, occupied, p); };
        };
    refused("fft_len is 1", make(1, used, {pilots({1})}));
    refused("occupied_carriers is empty", make(64, {}, {pilots({1})}));
    refused("occupied_carriers: carrier 32 lies outside the band of fft_len = 64: count from DC, "
            "-32 to 31",
            make(64, {1, 32}, {pilots({1})}));
    refused("occupied_carriers: carrier 3 is there twice", make(64, {1, 3, 3}, {pilots({1})}));
    refused("pilots is empty", make(64, used, {}));
    refused("no carrier in any of its 2 symbols", make(64, used, {{}, {}}));
    refused("pilots, symbol 1 has 2 carriers and 1 values", make(64, used, {{}, {{1, 2}, {1}}}));
    refused("pilots, symbol 0: carrier -33 lies outside", make(64, used, {pilots({-33})}));
    refused("carrier 30 is not among occupied_carriers", make(64, used, {pilots({30})}));
    refused("pilots, symbol 1: carrier 7 is there twice",
            make(64, used, {pilots({7}), pilots({7, 3, 7})}));
    for (const cfloat v : {cfloat(0), cfloat(NAN, 1), cfloat(INFINITY), cfloat(1e-30f)})
        refused("finite and not 0", make(64, used, {pilots({7}, v)}));
    refused("null_carriers: carrier 5 is also in occupied_carriers",
            [&] { GridPilots(64, used, {pilots({7})}, {30, 5}); });
    refused("delay_window is 65", [&] { GridPilots(64, used, {pilots({7})}, {}, 65); });
    refused("delay_window is", [&] { GridPilots(64, used, {pilots({7})}, {}, NAN); });
}

} // namespace

int main()
{
    where_pilots_lie();
    noise_of_pilots();
    noise_of_empty_carriers();
    lines_between_pilots();
    windows();
    refusals();
    return check::result("test_grid_pilots");
}
