/*
 * SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Sync words, common phase and soft demapping on cases that can be worked out by hand. Their equality
 * with gr-digital is tested in tests/blocks.
 */
#include "check.h"

#include <gnuradio/diffsem/core/base/philox.h>
#include <gnuradio/diffsem/core/link/demap.h>
#include <gnuradio/diffsem/core/link/ofdm.h>

#include <algorithm>
#include <vector>

using namespace gr::diffsem::core;

namespace {

constexpr int n = 32;

std::vector<cfloat> word(int first, int last, int step, float amplitude, int seed)
{
    const Rng rng(seed);
    std::vector<cfloat> w(n);
    for (int k = first; k <= last; k += step)
        w[k] = amplitude * (rng.normals(0, 0, k)[0] > 0 ? 1.0f : -1.0f);
    w[n / 2] = 0;
    return w;
}

void sync_words()
{
    const auto one = word(5, 27, 2, std::sqrt(2.0f), 1), two = word(5, 27, 1, 1, 2);
    SyncWords sync(one, two);
    CHECK_EQUAL(sync.count(), 2);
    CHECK_EQUAL(sync.min_offset(), -4);
    CHECK_EQUAL(sync.max_offset(), 4);
    CHECK(sync.equal_power());
    CHECK(sync.noise_from_empty_carriers());
    CHECK(sync.noise_error().empty());
    for (int g = -4; g <= 4; g += 2) {
        std::vector<cfloat> received(2 * n), taps(n);
        for (int k = 5; k <= 27; k++) {
            const cfloat h(1.0f, 0.1f * k);
            received[k + g] = h * one[k];
            received[n + k + g] = h * two[k];
            if (one[k] == cfloat(0))
                received[k + g] = cfloat(0, 0.5f); // power 1/4 where the first word is empty
        }
        received[n / 2] = 100; // an oscillator's leak
        received[n / 2 + g] = 100;
        CHECK_EQUAL(sync.search_offset(received.data()), g);
        sync.ls_taps(received.data(), g, taps.data());
        for (int k = 0; k < n; k++)
            CHECK_NEAR(std::abs(taps[k] - (two[k] == cfloat(0) || k + g == n / 2
                                               ? taps[k]
                                               : cfloat(1.0f, 0.1f * k))),
                       0,
                       1e-6);
        CHECK_NEAR(sync.noise(received.data(), g, taps.data()), 0.25, 1e-6);
    }
    CHECK_EQUAL(SyncWords(one, two, 3).max_offset(), 2);
    CHECK_EQUAL(SyncWords(one, two, 0).max_offset(), 0);

    // alone and sparse: the taps between are copies
    SyncWords alone(one, {});
    std::vector<cfloat> received(n), taps(n);
    for (int k = 0; k < n; k++)
        received[k] = one[k] * cfloat(0, float(k));
    alone.ls_taps(received.data(), 0, taps.data());
    CHECK_NEAR(std::abs(taps[7] - cfloat(0, 7)), 0, 1e-5);
    CHECK(taps[8] == taps[7]);
    CHECK(!alone.observed()[8]);
    CHECK_NEAR(alone.tap_noise_gain()[7], 0.5, 1e-6);
    CHECK_EQUAL(SyncWords(one, two, -1, true).count(), 1);

    // the taps' noise: one value where all carriers have one power, else each its own
    float of_all = 0;
    sync.tap_noise(0.5f, &of_all);
    CHECK_EQUAL(sync.tap_noise_size(), 1);
    CHECK_NEAR(of_all, 0.5, 1e-6);
    auto uneven = two;
    uneven[10] *= 2.0f;
    SyncWords mixed(one, uneven);
    std::vector<float> of_each(n);
    CHECK_EQUAL(mixed.tap_noise_size(), n);
    mixed.tap_noise(0.5f, of_each.data());
    CHECK_NEAR(of_each[10], 0.125, 1e-6);
    CHECK_NEAR(of_each[11], 0.5, 1e-6);
    CHECK_NEAR(of_each[0], 0.5, 1e-6); // not observed: as the weakest

    CHECK_THROWS(SyncWords({}, {}), {"sync_symbol1 is empty"});
    CHECK_THROWS(SyncWords(one, {1.0f}), {"sync_symbol2 has 1", "32"});
    CHECK_THROWS(SyncWords(one, std::vector<cfloat>(n)), {"sync_symbol2 is zero"});
    CHECK_THROWS(SyncWords(one, two, -3), {"max_carr_offset is -3"});
    const SyncWords few(word(10, 15, 1, 1, 3), {});
    CHECK(!few.noise_error().empty());
    CHECK(std::isnan(few.noise(received.data(), 0, taps.data())));
}

void common_phase()
{
    for (float memory : {0.0f, 0.5f, 1.0f}) {
        std::vector<cfloat> z(40);
        for (std::size_t s = 0; s < z.size(); s++)
            z[s] = std::polar(1.0f + s % 3, 0.5f + 1.1f * s);
        auto turned = z;
        CommonPhase(memory).track(turned);
        for (std::size_t s = 0; s < z.size(); s++)
            CHECK_NEAR(std::abs(turned[s] - z[s] / std::abs(z[s])), 0, 1e-5);
    }
    std::vector<cfloat> none, zero(3), bad = {{NAN, 0}, {0, 2}};
    CommonPhase().track(none);
    CommonPhase().track(zero);
    CHECK(zero[1] == cfloat(1, 0));
    CommonPhase(0).track(bad);
    CHECK(bad[0] == cfloat(1, 0) && std::abs(bad[1] - cfloat(0, 1)) < 1e-6f);
    // a symbol without pilots is filled from its neighbours
    std::vector<cfloat> gap = {{0, 1}, 0, {0, 1}};
    CommonPhase(0.5f).track(gap);
    CHECK_NEAR(std::abs(gap[1] - cfloat(0, 1)), 0, 1e-6);

    CHECK_NEAR(equalised_noise({0, 2}, 0.4f, 0.2f, 2.0f), 0.2, 1e-7);
    CHECK(std::isinf(equalised_noise(0, 0.4f, 0.2f)));
}

void demapping()
{
    for (const char* name : {"bpsk", "qpsk", "16qam", "64qam"}) {
        const auto points = constellation_points(name);
        const MaxLogDemapper demapper(points), lsb(points, true);
        CHECK_NEAR(demapper.power(), 1, 1e-6);
        std::vector<float> llr(demapper.bits()), reversed(demapper.bits());
        const float noise = 0.1f;
        for (std::size_t v = 0; v < points.size(); v++) {
            demapper.run(&points[v], &noise, 1, 1, 0, llr.data());
            lsb.run(&points[v], &noise, 1, 1, 0, reversed.data());
            for (int b = 0; b < demapper.bits(); b++)
                CHECK_EQUAL(llr[b] > 0, (v >> (demapper.bits() - 1 - b) & 1) == 1);
            std::reverse(reversed.begin(), reversed.end());
            CHECK(reversed == llr);
        }
    }
    // not separable: 8-PSK, against the definition
    std::vector<cfloat> psk;
    for (int v = 0; v < 8; v++)
        psk.push_back(std::polar(1.0f, float(M_PI / 4 * (v ^ v >> 1))));
    const MaxLogDemapper demapper(psk);
    const Rng rng(1);
    for (int i = 0; i < 50; i++) {
        const auto r = rng.normals(i, 0, 0);
        const cfloat y = {float(r[0]), float(r[1])};
        const float noise = 0.3f;
        float llr[3];
        demapper.run(&y, &noise, 1, 2, 0, llr);
        for (int b = 0; b < 3; b++) {
            float least[2] = {1e9f, 1e9f};
            for (int v = 0; v < 8; v++)
                least[v >> (2 - b) & 1] = std::min(least[v >> (2 - b) & 1], std::norm(y - psk[v]));
            CHECK_NEAR(llr[b], 2 * (least[0] - least[1]) / noise, 1e-4);
        }
    }
    CHECK_THROWS(constellation_points("32qam"), {"32qam", "64qam"});
    CHECK_THROWS(MaxLogDemapper({1.0f, -1.0f, 0.0f}), {"3 points"});
    CHECK_THROWS(MaxLogDemapper({1.0f}), {"1 points"});
}

} // namespace

int main()
{
    sync_words();
    common_phase();
    demapping();
    return check::result("ofdm");
}
