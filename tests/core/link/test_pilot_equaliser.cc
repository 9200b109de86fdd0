/*
 * SPDX-License-Identifier: GPL-3.0-or-later
 *
 * The equaliser by pilots on frames without noise, where what was sent must come back, and against its definition.
 */
#include "check.h"

#include <gnuradio/diffsem/core/base/philox.h>
#include <gnuradio/diffsem/core/link/pilot_equaliser.h>

#include <cmath>
#include <vector>

using namespace gr::diffsem::core;

namespace {

constexpr int n = 16, symbols = 9, unused = 3, lost = 6, pilot_only = 12;
const std::vector<PilotEqualiser::Pilots> pilots = {{{2, 1.0f}, {pilot_only, -1.0f}},
                                                    {{2, {0, 1}}, {9, 2.0f}}};

std::vector<cfloat> random(int item, std::size_t count)
{
    std::vector<cfloat> x(count);
    Rng(3).fill(item, 0, Domain::complex, count, reinterpret_cast<float*>(x.data()));
    return x;
}

std::vector<std::uint8_t> occupied()
{
    std::vector<std::uint8_t> mask(n, 1);
    mask[unused] = mask[pilot_only] = 0;
    return mask;
}

void a_turning_frame_comes_back(std::size_t first, float memory)
{
    const auto phase = [](int s) { return 0.4f + 0.9f * s; };
    auto sent = random(0, n * symbols);
    auto channel = random(1, n);
    channel[lost] = 0;
    for (int s = 0; s < symbols; s++)
        for (const auto& p : pilots[(first + s) % 2])
            sent[s * n + p.carrier] = p.value;
    auto frame = sent;
    for (int j = 0; j < n * symbols; j++)
        frame[j] *= channel[j % n] * std::polar(1.0f, phase(j / n));
    const auto received = frame;
    auto state = channel;
    PilotEqualiser equaliser(occupied(), pilots, memory);
    equaliser.run(frame.data(), symbols, first, state.data());
    for (int j = 0; j < n * symbols; j++) {
        const int s = j / n, k = j % n;
        const bool is_pilot = k == pilot_only && (first + s) % 2 == 0;
        const bool used = k != unused && (k != pilot_only || is_pilot);
        const cfloat expected = !used ? received[j] : k == lost ? cfloat(0) : sent[j];
        CHECK_NEAR(std::abs(frame[j] - expected), 0, used ? 1e-4 : 0);
    }
    for (int k = 0; k < n; k++)
        CHECK_NEAR(std::abs(state[k] - channel[k] * std::polar(1.0f, phase(symbols - 1))), 0, 1e-5);
}

// Each symbol alone: its phase is that of sum conj(h p) y.
void with_noise_it_is_least_squares()
{
    auto frame = random(4, n * symbols), state = random(5, n);
    const auto received = frame, channel = state;
    PilotEqualiser equaliser(occupied(), pilots, 0);
    equaliser.run(frame.data(), symbols, 1, state.data());
    for (int s = 0; s < symbols; s++) {
        std::complex<double> z = 0;
        for (const auto& p : pilots[(1 + s) % 2])
            z += std::complex<double>(std::conj(channel[p.carrier] * p.value) *
                                      received[s * n + p.carrier]);
        const auto turn = z / std::abs(z);
        for (int k : {0, 1, 9, 15}) {
            const auto expected = std::complex<double>(received[s * n + k]) /
                                  (std::complex<double>(channel[k]) * turn);
            CHECK_NEAR(std::abs(std::complex<double>(frame[s * n + k]) - expected),
                       0,
                       1e-5 * (1 + std::abs(expected)));
        }
    }
}

void without_pilots_it_divides()
{
    auto frame = random(6, 2 * n), state = random(7, n);
    const auto received = frame, channel = state;
    PilotEqualiser equaliser(std::vector<std::uint8_t>(n, 1), {}, 0.8f);
    CHECK_EQUAL(equaliser.sets(), std::size_t(0));
    equaliser.run(frame.data(), 2, 0, state.data());
    for (int j = 0; j < 2 * n; j++)
        CHECK_NEAR(std::abs(frame[j] * channel[j % n] - received[j]), 0, 1e-5);
    CHECK(state == channel);
    equaliser.run(frame.data(), 0, 0, state.data());
    CHECK(state == channel);
}

} // namespace

int main()
{
    for (std::size_t first : {0, 1})
        for (float memory : {0.0f, 0.8f, 1.0f})
            a_turning_frame_comes_back(first, memory);
    with_noise_it_is_least_squares();
    without_pilots_it_divides();
    return check::result("pilot_equaliser");
}
