/*
 * SPDX-License-Identifier: GPL-3.0-or-later
 *
 * The payload of an equalised frame, its noise and the clock, where each can be written down.
 */
#include "check.h"
#include "small_frame.h"

#include <cmath>
#include <vector>

using namespace small_frame;

namespace {

constexpr float noise_var = 0.3f;

std::vector<cfloat> taps()
{
    std::vector<cfloat> h(len);
    for (int k = 0; k < len; k++)
        h[k] = std::polar(0.5f + 0.02f * k, 0.3f * k);
    return h;
}

std::vector<float> errors()
{
    std::vector<float> e(len);
    for (int k = 0; k < len; k++)
        e[k] = 0.01f + 0.001f * k;
    return e;
}

// Every symbol is too large by what is stated of its carrier, three times the power: no phase, so no clock error, and
// a residual that is known.
void noise_is_what_known_symbols_miss_by()
{
    const auto f = layout();
    const auto sent = symbols(f, header(1));
    const auto h = taps();
    const auto e = errors();
    const auto much = [&](int k) {
        return 1 + std::sqrt(3 * (noise_var + e[k]) / std::norm(h[k]));
    };
    auto frame = sent;
    for (std::size_t j = 0; j < frame.size(); j++)
        frame[j] *= much(j % len);
    FrameNoise noise(f);
    const auto got = noise.read(frame.data(), payload, header(1), h.data(), noise_var, e.data());

    double power = 0;
    const int carriers = static_cast<int>(f.data.size()), headers = f.header_symbols();
    for (int k : f.data)
        power += std::norm(h[k]) / carriers;
    const double scale = 3; // known symbols have unit power

    CHECK_NEAR(noise.clock_error(), 0, 1e-9);
    CHECK_NEAR(got.snr_db, 10 * std::log10(power / (noise_var * scale)), 1e-3);
    CHECK_EQUAL(static_cast<int>(got.symbols.size()), payload * carriers);
    CHECK_EQUAL(got.noise_var.size(), got.symbols.size());
    for (int i = 0; i < payload * carriers; i++) {
        const int k = f.data[i % carriers], at = (headers + i / carriers) * len + k;
        CHECK_NEAR(std::abs(got.symbols[i] - much(k) * sent[at]), 0, 1e-5);
        const double variance = scale * (noise_var + e[k]) / std::norm(h[k]);
        // data carriers were seen twice, pilots six times: what is alike stays so, nearly
        CHECK_NEAR(got.noise_var[i], variance, 0.02 * variance);
    }
}

void a_clock_error_is_turned_back()
{
    const auto f = layout();
    const auto sent = symbols(f, header(2));
    const std::vector<cfloat> h(len, 1.0f);
    const std::vector<float> e(len, 0.0f);
    const double slope = 1e-4; // rad per carrier and symbol
    auto frame = sent;
    for (std::size_t j = 0; j < frame.size(); j++)
        // pilots lie around carrier 32; 1.5 symbols: from the middle of the sync words
        frame[j] *= cfloat(std::polar(1.0, slope * (double(j % len) - 32) * (j / len + 1.5)));
    FrameNoise noise(f);
    const auto got = noise.read(frame.data(), payload, header(2), h.data(), noise_var, e.data());
    CHECK_NEAR(noise.clock_error() / (slope * len / (2 * pi * symbol)), 1, 2e-3);
    const int carriers = static_cast<int>(f.data.size());
    for (int i = 0; i < payload * carriers; i++)
        CHECK_NEAR(std::abs(got.symbols[i] -
                            sent[(f.header_symbols() + i / carriers) * len + f.data[i % carriers]]),
                   0,
                   1e-4);
}

void limits()
{
    const auto f = layout();
    auto frame = symbols(f, header(0));
    auto h = taps();
    h[f.data[0]] = 0;
    const auto e = errors();
    FrameNoise noise(f);
    // nothing missed: no noise, and what a dictionary can hold of an infinite ratio
    const auto clean = noise.read(frame.data(), payload, header(0), h.data(), 0, e.data());
    CHECK_NEAR(clean.snr_db, 90, 1e-9);
    CHECK(std::isinf(clean.noise_var[0]));
    CHECK(std::isfinite(clean.noise_var[1]));
    // no estimate at all
    const std::vector<cfloat> nothing(len);
    const auto lost = noise.read(frame.data(), payload, header(0), nothing.data(), 0.1f, e.data());
    CHECK(std::isinf(lost.noise_var[5]));
    // the index is beyond the last frame: no symbols
    CHECK(noise.read(frame.data(), 0, header(0), h.data(), 0.1f, e.data()).symbols.empty());
}

} // namespace

int main()
{
    noise_is_what_known_symbols_miss_by();
    a_clock_error_is_turned_back();
    limits();
    return check::result("frame_payload");
}
