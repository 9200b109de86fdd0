/*
 * SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Symbols found by their guard intervals: echoes, offsets, fades, what is no signal.
 */
#include "check.h"

#include <gnuradio/diffsem/core/link/guard_sync.h>

#include <algorithm>
#include <cmath>
#include <complex>
#include <cstdlib>
#include <limits>
#include <random>
#include <vector>

using namespace gr::diffsem::core;

namespace {

constexpr double full_turn = 6.283185307179586;
constexpr int n = 512, guard = 64, symbol = n + guard;

//! Noise with guard intervals, as OFDM is; unit power.
std::vector<cfloat> signal(int symbols, unsigned seed = 1)
{
    std::mt19937 random(seed);
    std::normal_distribution<float> normal(0, 0.70710678f);
    std::vector<cfloat> x(std::size_t(symbols * symbol));
    for (int s = 0; s < symbols; s++) {
        cfloat* here = &x[std::size_t(s * symbol)];
        std::generate(
            here + guard, here + symbol, [&] { return cfloat(normal(random), normal(random)); });
        std::copy_n(here + n, guard, here);
    }
    return x;
}

std::vector<cfloat> over(const std::vector<cfloat>& x,
                         const std::vector<std::pair<int, cfloat>>& paths,
                         double noise_var)
{
    std::mt19937 random(77);
    std::normal_distribution<float> normal(0, float(std::sqrt(noise_var / 2)));
    std::vector<cfloat> y(x.size());
    for (std::size_t i = 0; i < x.size(); i++) {
        y[i] = {normal(random), normal(random)};
        for (const auto& [delay, gain] : paths)
            if (i >= std::size_t(delay))
                y[i] += gain * x[i - std::size_t(delay)];
    }
    return y;
}

struct Run {
    std::vector<long>
        starts; // of each symbol that came, samples after a symbol began on the first path
    int fresh = 0;
    float offset = 0, coherence = 0;
    bool locked = false;
    std::uint64_t losses = 0;
};

Run run(const std::vector<cfloat>& y)
{
    GuardSync sync(n, guard);
    Run out;
    std::vector<cfloat> symbol_out(n);
    for (std::size_t at = 0, consumed = 0; at + sync.needs() <= y.size(); at += consumed) {
        if (sync.next(&y[at], symbol_out.data(), consumed)) {
            out.fresh += sync.fresh();
            // where its samples came from: the place of the same magnitude
            const auto same = [&](std::size_t i) {
                for (const std::size_t k : {0u, 100u, 511u})
                    if (!(std::abs(std::abs(y[i + k]) - std::abs(symbol_out[k])) <
                          1e-4f * (1 + std::abs(y[i + k]))))
                        return false;
                return true;
            };
            for (std::size_t i = at; i < at + std::size_t(symbol); i++)
                if (same(i)) {
                    out.starts.push_back(long(i) % symbol);
                    break;
                }
        }
        CHECK(consumed > 0 && consumed <= sync.needs());
    }
    out.offset = sync.offset();
    out.coherence = sync.coherence();
    out.locked = sync.locked();
    out.losses = sync.losses();
    return out;
}

//! All in [low, high], once settled.
bool within(const std::vector<long>& starts, long low, long high, int settled = 50)
{
    return starts.size() > 250 && std::all_of(starts.begin() + settled, starts.end(), [&](long s) {
               return s >= low && s <= high;
           });
}

void one_path_and_offset()
{
    for (const double offset : {0.0, 0.3, -0.45}) {
        auto y = over(signal(400), {{0, 1}}, 0.1);
        for (std::size_t i = 0; i < y.size(); i++)
            y[i] *= cfloat(std::polar(1.0, full_turn * offset * double(i) / n));
        y.erase(y.begin(), y.begin() + 3 * symbol + 200 - 200 % symbol);
        const Run found = run(y);
        CHECK(within(found.starts, guard - 8, guard));
        CHECK_EQUAL(found.fresh, 1);
        CHECK_NEAR(found.offset, offset, 0.01);
        CHECK_NEAR(found.coherence, 1 / 1.1, 0.05);
    }
}

// Both paths' guard intervals hold the beginning, but for a few samples.
void equal_echoes()
{
    for (const int delay : {1, 8, 21, 32, 50, 60}) {
        const Run found = run(over(signal(700), {{0, {0.7071f, 0}}, {delay, {0, 0.7071f}}}, 0.03));
        CHECK(within(found.starts, std::min(delay, guard - 10) - 4, guard + 4));
        CHECK_EQUAL(found.losses, 0u);
    }
    // an echo before the strongest
    const Run early = run(over(signal(700), {{0, {0.5f, 0}}, {40, {0.866f, 0}}}, 0.03));
    CHECK(within(early.starts, 34, guard + 2, 150)); // it takes a longer average to see
}

void anywhere_in_the_stream()
{
    for (const int skip : {1, 63, 64, 65, 300, 575}) {
        auto y = over(signal(400), {{0, 1}}, 0.03);
        y.erase(y.begin(), y.begin() + skip);
        const Run found = run(y);
        std::vector<long> starts;
        for (const long s : found.starts)
            starts.push_back((s + skip) % symbol);
        CHECK(within(starts, guard - 8, guard));
    }
}

void fades_and_clocks()
{
    auto y = over(signal(900), {{0, 1}}, 0.03);
    for (int i = 300 * symbol; i < 420 * symbol; i++)
        y[std::size_t(i)] *= 0.01f;
    const Run faded = run(y);
    CHECK_EQUAL(faded.fresh, 1);
    CHECK(within(faded.starts, guard - 8, guard + 1));
    // one sample less in every 20 symbols: 87 ppm
    const auto x = over(signal(900), {{0, 1}}, 0.03);
    std::vector<cfloat> fast;
    for (std::size_t i = 0; i < x.size(); i++)
        if (i % (20 * symbol))
            fast.push_back(x[i]);
    const Run followed = run(fast);
    CHECK_EQUAL(followed.fresh, 1);
    CHECK_EQUAL(followed.losses, 0u);
    CHECK(followed.coherence > 0.8f);
}

void lost_samples()
{
    auto y = over(signal(900), {{0, 1}}, 0.03);
    y.erase(y.begin() + 400 * symbol, y.begin() + 403 * symbol + 300);
    const Run found = run(y);
    CHECK_EQUAL(found.losses, 1u);
    CHECK_EQUAL(found.fresh, 2);
    CHECK(found.starts.size() > 800 && found.coherence > 0.4f);
    const long last = (found.starts.back() + 300) % symbol;
    CHECK(last >= guard - 8 && last <= guard);
}

void no_signal()
{
    std::mt19937 random(5);
    std::normal_distribution<float> normal;
    std::vector<cfloat> y(400 * symbol);
    CHECK(run(y).starts.empty()); // silence
    std::generate(y.begin(), y.end(), [&] { return cfloat(normal(random), normal(random)); });
    CHECK(run(y).starts.empty());
    std::fill(y.begin(), y.end(), cfloat(std::numeric_limits<float>::quiet_NaN()));
    CHECK(run(y).starts.empty());
    std::fill(y.begin(), y.end(), cfloat(1e30f));
    run(y);
    // silence, then a signal; and holes of what is not finite
    auto late = over(signal(400), {{0, 1}}, 0.03);
    std::fill_n(late.begin(), 100 * symbol, cfloat(0));
    for (std::size_t i = 200 * symbol; i < late.size(); i += 20 * symbol)
        late[i] = cfloat(std::numeric_limits<float>::infinity());
    const Run found = run(late);
    CHECK(found.locked);
    CHECK(found.starts.size() > 250);
}

void refusals()
{
    CHECK_THROWS(GuardSync(8, 4), {"fft_length is 8"});
    CHECK_THROWS(GuardSync(512, 0), {"cp_length is 0"});
    CHECK_THROWS(GuardSync(512, 512), {"cp_length is 512"});
}

} // namespace

int main()
{
    one_path_and_offset();
    equal_echoes();
    anywhere_in_the_stream();
    fades_and_clocks();
    lost_samples();
    no_signal();
    refusals();
    return check::result("test_guard_sync");
}
