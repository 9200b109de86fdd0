/*
 * SPDX-License-Identifier: GPL-3.0-or-later
 *
 * DVB-T from spectra to payload: layout, transmission parameters, what may happen to a stream of symbols.
 */
#include "check.h"
#include "dvbt_signal.h"

#include <gnuradio/diffsem/core/link/dvbt_demodulator.h>
#include <gnuradio/diffsem/core/link/stationary_channel.h>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <functional>
#include <limits>
#include <random>
#include <string>
#include <vector>

using namespace gr::diffsem::core;

namespace {

void layouts()
{
    for (const std::size_t times : {1u, 4u}) {
        const DvbtLayout layout(int(2048 * times));
        CHECK_EQUAL(layout.carriers, 1704 * times + 1);
        CHECK_EQUAL(layout.continual.size(), 44 * times + 1);
        CHECK_EQUAL(layout.tps.size(), 17 * times);
        for (const auto& data : layout.data)
            CHECK_EQUAL(data.size(), 1512 * times);
    }
    CHECK_THROWS(DvbtLayout(4096), {"fft_length is 4096", "2048"});
}

void parameters_are_read()
{
    std::mt19937 random(1);
    DvbtTps tps;
    DvbtParameters sent;
    sent.constellation = 2;
    sent.rate_high = 1;
    sent.guard = 3;
    sent.mode = 1;
    for (int errors = 0; errors <= 2; errors++)
        for (sent.frame = 0; sent.frame < 4; sent.frame++) {
            auto word = DvbtTps::word(sent);
            for (int e = 0; e < errors; e++)
                word[std::size_t(31 * e + int(random() % 31))] ^= 1;
            tps.push(false);
            for (std::size_t i = 0; i < word.size(); i++)
                CHECK_EQUAL(tps.push(word[i]), i + 1 == word.size());
            CHECK_EQUAL(tps.parameters().frame, sent.frame);
            CHECK_EQUAL(tps.parameters().constellation, 2);
            CHECK_EQUAL(tps.parameters().rate_high, 1);
            CHECK_EQUAL(tps.parameters().guard, 3);
            CHECK_EQUAL(tps.parameters().mode, 1);
        }
    int found = 0;
    for (int i = 0; i < 100000; i++)
        found += tps.push(random() & 1);
    CHECK_BELOW(found, 10); // by chance
}

//! What came of a stream.
struct Run {
    std::vector<DvbtSymbol> symbols;
    int first_number = -1; // of the first one sent that came out
    int wrong = 0, points = 0;
    std::uint64_t losses = 0;
    float noise_var = 0;
    double surprise = 0; // squared error over the variance that was said, summed over points
    int known =
        0; // elements of symbols that are not usable, of which something is said to be known
};

//! `meddle` has each spectrum before it goes in; false: it is lost.
Run run(int first,
        int count,
        const std::function<bool(int, std::vector<cfloat>&)>& meddle,
        double doppler = 0.0126)
{
    const DvbtLayout layout(2048);
    DvbtSender sender(layout);
    StationaryChannel channel(layout, 256);
    DvbtDemodulator demodulator(layout, channel);
    const MovingPaths paths({0, 1.8, 4.6, 14.6, 21, 45.7}, doppler, 5);
    Noise noise(0.01, 2);
    std::vector<cfloat> spectrum(layout.fft_len), data(layout.data[0].size());
    std::vector<float> variance(data.size());
    Run out;
    std::vector<int> numbers;
    int next = -1; // number of the next symbol that comes out
    const auto take = [&] {
        while (demodulator.due()) {
            DvbtSymbol symbol;
            if (!demodulator.pop(data.data(), symbol, variance.data()))
                continue;
            if (symbol.begins) // the latest superframe's
                next = (numbers.back() / DvbtLayout::superframe) * DvbtLayout::superframe;
            if (out.first_number < 0)
                out.first_number = next;
            CHECK_EQUAL(symbol.index, next % DvbtLayout::symbols_per_frame);
            const auto& places = layout.data[std::size_t(next) % 4];
            for (std::size_t i = 0; i < places.size() && symbol.usable; i++, out.points++) {
                const cfloat sent = DvbtSender::point(next, places[i]);
                out.wrong += sent.real() * data[i].real() < 0 || sent.imag() * data[i].imag() < 0;
                out.surprise += double(std::norm(data[i] - sent)) / variance[i];
            }
            for (std::size_t i = 0; i < places.size() && !symbol.usable; i++)
                out.known += !std::isinf(variance[i]);
            next++;
            out.symbols.push_back(symbol);
        }
    };
    for (int l = 0; l < first; l++)
        sender.symbol(l);
    for (int l = first; l < first + count; l++) {
        const auto x = sender.symbol(l);
        const auto h = paths.response(layout, l);
        for (auto& y : spectrum)
            y = noise();
        for (std::size_t k = 0; k < x.size(); k++)
            spectrum[layout.first + k] += x[k] * h[k];
        if (!meddle(l, spectrum))
            continue;
        numbers.push_back(l);
        demodulator.push(spectrum.data());
        take();
    }
    demodulator.end();
    take();
    out.losses = demodulator.losses();
    out.noise_var = demodulator.noise_var();
    return out;
}

bool all_well(int, std::vector<cfloat>&)
{
    return true;
}

void a_superframe_begins_it()
{
    const Run whole = run(30, 800, all_well);
    CHECK_EQUAL(whole.first_number, 272);
    CHECK_EQUAL(whole.symbols.size(), std::size_t(30 + 800 - 272)); // nothing stays inside
    CHECK(whole.symbols.front().begins);
    CHECK_EQUAL(
        std::count_if(whole.symbols.begin(), whole.symbols.end(), [](auto& s) { return s.begins; }),
        1);
    CHECK_BELOW(double(whole.wrong) / whole.points, 0.01); // deep fades
    CHECK_EQUAL(whole.losses, 0u);
    CHECK_NEAR(whole.noise_var, 0.01, 0.003);
    CHECK_NEAR(whole.surprise / whole.points, 1, 0.25);
}

// Offset of whole carriers, turn from symbol to symbol, steps of the window, clock.
void what_a_synchroniser_leaves()
{
    const Run turned = run(0, 700, [](int l, std::vector<cfloat>& y) {
        const int step = l > 400 ? 3 : l > 300 ? -7 : 0;
        for (std::size_t k = 0; k < y.size(); k++)
            y[k] *= std::polar(
                1.0f, float(full_turn * (0.2 * l + (step + 0.04 * l) * (double(k) - 1024) / 2048)));
        std::rotate(y.begin(), y.end() - 9, y.end());
        return true;
    });
    CHECK_EQUAL(turned.symbols.size(), std::size_t(700 - 272));
    CHECK_EQUAL(turned.losses, 0u);
    CHECK_BELOW(double(turned.wrong) / turned.points, 0.02);
}

void lost_symbols_are_seen()
{
    for (const int lost : {1, 2, 4}) {
        const Run gap = run(
            0, 1300, [lost](int l, std::vector<cfloat>&) { return l < 400 || l >= 400 + lost; });
        CHECK_EQUAL(gap.losses, 1u);
        CHECK_EQUAL(
            std::count_if(gap.symbols.begin(), gap.symbols.end(), [](auto& s) { return s.begins; }),
            2);
    }
}

void what_is_not_finite_costs_itself()
{
    const Run bad = run(0, 700, [](int l, std::vector<cfloat>& y) {
        if (l % 50 == 7)
            y[700] = std::numeric_limits<float>::quiet_NaN();
        return true;
    });
    CHECK_EQUAL(bad.symbols.size(), std::size_t(700 - 272));
    CHECK_EQUAL(
        std::count_if(bad.symbols.begin(), bad.symbols.end(), [](auto& s) { return !s.usable; }),
        8);
    CHECK_BELOW(double(bad.wrong) / bad.points, 0.01);
    CHECK_EQUAL(bad.losses, 0u);
    CHECK_EQUAL(bad.known, 0);
}

void another_signal_gives_nothing()
{
    Noise noise(1, 9);
    CHECK(run(0, 700, [&](int, std::vector<cfloat>& y) {
              for (auto& v : y)
                  v = noise();
              return true;
          }).symbols.empty());
    CHECK(run(0, 300, [](int, std::vector<cfloat>& y) {
              std::fill(y.begin(), y.end(), cfloat(0));
              return true;
          }).symbols.empty());
    CHECK(run(0, 300, [](int, std::vector<cfloat>& y) {
              std::fill(y.begin(), y.end(), cfloat(1e30f));
              return true;
          }).symbols.empty());
}

} // namespace

int main()
{
    layouts();
    parameters_are_read();
    a_superframe_begins_it();
    what_a_synchroniser_leaves();
    lost_symbols_are_seen();
    what_is_not_finite_costs_itself();
    another_signal_gives_nothing();
    return check::result("test_dvbt_demodulator");
}
