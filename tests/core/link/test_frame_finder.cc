/*
 * SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Frames whose samples are made by the definition are found where they are, and give back what was sent.
 */
#include "check.h"
#include "small_frame.h"

#include <gnuradio/diffsem/core/link/frame_finder.h>

#include <algorithm>
#include <cmath>
#include <vector>

using namespace small_frame;

namespace {

constexpr int frames = 6, gap = 300;
constexpr double offset = 0.7; // carrier spacings
constexpr cfloat gain = {0.6f, -0.8f};

FrameFinder finder()
{
    const auto f = layout();
    return FrameFinder(f, PreambleCorrelator(f.word1, f.word2, cp, 2.25f, 1e-4), dft());
}

std::vector<cfloat> noise(std::size_t count, float variance)
{
    std::vector<cfloat> x(count);
    Rng(7).fill(0, 0, Domain::complex, count, reinterpret_cast<float*>(x.data()));
    for (auto& v : x)
        v *= std::sqrt(variance);
    return x;
}

int start_of(int frame)
{
    const auto f = layout();
    return gap + frame * (gap + (2 + f.header_symbols() + payload) * symbol);
}

// Frames at start_of(), behind a gain and a carrier offset, in noise.
std::vector<cfloat> stream(float noise_var)
{
    const auto f = layout();
    auto x = noise(start_of(frames), noise_var);
    for (int i = 0; i < frames; i++) {
        const auto sent = samples(f, symbols(f, header(i)));
        for (std::size_t t = 0; t < sent.size(); t++)
            x[start_of(i) + t] += gain * sent[t];
    }
    for (std::size_t t = 0; t < x.size(); t++)
        x[t] *= cfloat(std::polar(1.0, 2 * pi * offset * double(t) / len));
    return x;
}

std::vector<FoundFrame> found(FrameFinder& finder, const std::vector<cfloat>& x, int piece)
{
    std::vector<FoundFrame> out;
    for (std::size_t at = 0; at < x.size();) {
        const int n = static_cast<int>(std::min<std::size_t>(piece, x.size() - at));
        at += finder.take(&x[at], n);
        while (finder.next())
            out.push_back(finder.frame());
    }
    return out;
}

void what_was_sent_comes_back()
{
    const auto f = layout();
    auto finds = finder();
    const auto all = found(finds, stream(1e-6f), 1000);
    CHECK_EQUAL(static_cast<int>(all.size()), frames);
    CHECK_EQUAL(static_cast<int>(finds.out()), frames);
    for (int i = 0; i < static_cast<int>(all.size()); i++) {
        const auto& frame = all[i];
        CHECK(frame.header == header(i));
        CHECK_NEAR(frame.carrier_offset, offset, 2e-3);
        CHECK(frame.score >= 1);
        // The window may begin early, within the prefix: that turns each carrier.
        const int early = start_of(i) - static_cast<int>(frame.start);
        CHECK(early >= 0 && early < cp);
        const auto sent = symbols(f, header(i));
        CHECK_EQUAL(frame.vectors.size(), (1 + sent.size() / len) * len);
        // A phase is common to all carriers of the frame: that of its first sample, which the offset has turned.
        const auto expected = [&](int k) {
            return gain * cfloat(std::polar(1.0, -2 * pi * (k - len / 2) * early / len)) *
                   cfloat(std::polar(1.0, 2 * pi * offset * double(frame.start) / len));
        };
        double error = 0, power = 0;
        for (std::size_t j = 0; j < sent.size(); j++) {
            const cfloat want = expected(j % len) * sent[j];
            error += std::norm(frame.vectors[len + j] - want);
            power += std::norm(want);
        }
        // The step of the phase is found to 0.01 rad a symbol: less than 0.1 at the seventh.
        CHECK_BELOW(error, 1e-2 * power);
        for (int k : f.data)
            CHECK_NEAR(std::abs(frame.vectors[k] - std::sqrt(2.0f) * expected(k)), 0, 0.1);
    }
}

void pieces_do_not_matter()
{
    const auto x = stream(0.1f);
    auto whole = finder();
    const auto expected = found(whole, x, FrameFinder::piece);
    CHECK_EQUAL(static_cast<int>(expected.size()), frames);
    for (int piece : {77, 640}) {
        auto finds = finder();
        const auto all = found(finds, x, piece);
        CHECK_EQUAL(all.size(), expected.size());
        for (std::size_t i = 0; i < std::min(all.size(), expected.size()); i++) {
            CHECK_EQUAL(all[i].start, expected[i].start);
            CHECK(all[i].header == expected[i].header);
            CHECK_NEAR(all[i].carrier_offset, expected[i].carrier_offset, 1e-3);
        }
    }
    // More than a piece is taken piece by piece.
    auto finds = finder();
    const auto more = noise(FrameFinder::piece + 1, 1);
    CHECK_EQUAL(finds.take(more.data(), static_cast<int>(more.size())), int(FrameFinder::piece));
}

void a_long_silence_is_forgotten_and_positions_stay_right()
{
    auto x = noise(5 * FrameFinder::piece, 1e-3f);
    const std::size_t silence = x.size();
    const auto y = stream(1e-3f);
    x.insert(x.end(), y.begin(), y.end());
    auto finds = finder();
    const auto all = found(finds, x, 4000);
    CHECK_EQUAL(static_cast<int>(all.size()), frames);
    for (std::size_t i = 0; i < all.size(); i++)
        CHECK(std::abs(double(all[i].start) - double(silence + start_of(int(i)))) < cp);
}

// Samples that are lost within a frame cost that frame, and not the next one too.
void lost_samples_cost_one_frame()
{
    auto x = stream(1e-3f);
    const auto cut = [&](int frame) { // the next frame begins within what this one would have been
        const auto from = x.begin() + start_of(frame) + 5 * symbol;
        x.erase(from, from + gap + 100);
    };
    cut(3);
    cut(1);
    auto finds = finder();
    const auto all = found(finds, x, 1000);
    for (int i : {0, 2, 4, 5})
        CHECK(std::any_of(
            all.begin(), all.end(), [&](const auto& f) { return f.header == header(i); }));
    CHECK_BELOW(all.size(), frames + 1);
}

// A weaker peak about a symbol earlier, as of another sender, does not end the search on the slope of the right one.
void the_best_peak_wins_wherever_the_search_begins()
{
    const auto f = layout();
    const auto sent = samples(f, symbols(f, header(0)));
    const auto start = [&](int before, float strength) {
        auto x = noise(gap + sent.size() + gap, 1e-3f);
        for (std::size_t t = 0; t < sent.size(); t++)
            x[gap + t] += sent[t];
        for (int t = 0; t < 2 * symbol; t++)
            x[gap - before + t] += strength * sent[t];
        auto finds = finder();
        const auto all = found(finds, x, 1000);
        CHECK_EQUAL(static_cast<int>(all.size()), 1);
        return all.empty() ? 0.0 : double(all[0].start);
    };
    const double alone = start(0, 0);
    for (int before = 60; before < 100; before += 2)
        CHECK_NEAR(start(before, 0.5f), alone, 1);
}

void what_is_no_frame_does_not_go_out()
{
    auto x = noise(60000, 1);
    x[100] = NAN;
    x[2000] = {0, INFINITY};
    x[3000] = 1e20f;
    auto finds = finder();
    const auto all = found(finds, x, 3000);
    CHECK_EQUAL(static_cast<int>(all.size()), 0);
    CHECK_EQUAL(static_cast<int>(finds.blanked()), 3);
    CHECK_EQUAL(static_cast<int>(finds.out()), 0);
    // 1e-4 for a sample: about 6 peaks, neighbours counted once
    CHECK_BELOW(double(finds.found()), 30);

    // A preamble alone is a peak, and no frame.
    auto cut = stream(1e-3f);
    cut.resize(start_of(1));
    std::fill(cut.begin() + start_of(0) + 2 * symbol, cut.end(), cfloat(0, 0));
    const auto rest = noise(20 * symbol, 1e-3f);
    cut.insert(cut.end(), rest.begin(), rest.end());
    auto again = finder();
    CHECK_EQUAL(static_cast<int>(found(again, cut, 1000).size()), 0);
    CHECK(again.found() >= 1);
}

} // namespace

int main()
{
    lost_samples_cost_one_frame();
    what_was_sent_comes_back();
    pieces_do_not_matter();
    a_long_silence_is_forgotten_and_positions_stay_right();
    the_best_peak_wins_wherever_the_search_begins();
    what_is_no_frame_does_not_go_out();
    return check::result("frame_finder");
}
