/*
 * SPDX-License-Identifier: GPL-3.0-or-later
 *
 * The channel by what the stream says of its delays and its fading.
 */
#include "check.h"
#include "dvbt_signal.h"

#include <gnuradio/diffsem/core/link/stationary_channel.h>

#include <algorithm>
#include <cstddef>
#include <vector>

using namespace gr::diffsem::core;

namespace {

struct Result {
    double error_db;
    double noise_var;
    double doppler;
};

// Mean error over the channel's power, once everything has been measured.
Result run(int fft_len, std::size_t guard, const MovingPaths& paths, double noise_var)
{
    const DvbtLayout layout(fft_len);
    DvbtSender sender(layout);
    StationaryChannel channel(layout, guard);
    Noise noise(noise_var, 3);
    constexpr int symbols = 240, settled = 120;
    std::vector<cfloat> answer(layout.carriers);
    double error = 0, power = 0;
    for (int l = 0; l < symbols; l++) {
        auto y = sender.symbol(l);
        const auto h = paths.response(layout, l);
        for (std::size_t k = 0; k < y.size(); k++)
            y[k] = y[k] * h[k] + noise();
        channel.push(y.data(), std::size_t(l) % 4);
        const int back = int(channel.ahead());
        if (l < back)
            continue;
        channel.estimate(std::size_t(back), answer.data());
        if (l < settled)
            continue;
        const auto truth = paths.response(layout, l - back);
        for (std::size_t k = 0; k < truth.size(); k++) {
            error += std::norm(answer[k] - truth[k]);
            power += std::norm(truth[k]);
        }
    }
    return {10 * std::log10(error / power), channel.noise_var(), channel.doppler()};
}

const std::vector<double> urban = {0, 1.8, 4.6, 14.6, 21, 45.7};

void as_good_as_it_should_be()
{
    // noise -15 dB: one pilot alone says -17.5 dB
    const auto car = run(2048, 256, MovingPaths(urban, 0.0126, 1), 0.0316);
    CHECK_BELOW(car.error_db, -25.0);
    CHECK_NEAR(car.noise_var, 0.0316, 0.006);
    CHECK_NEAR(car.doppler, 0.0126, 0.006);
    CHECK_BELOW(run(2048, 256, MovingPaths(urban, 0.0252, 2), 0.0316).error_db, -24.0);
    CHECK_BELOW(run(2048, 256, MovingPaths(urban, 0, 3), 0.0316).error_db, -26.0);
    CHECK_BELOW(run(8192, 256, MovingPaths(urban, 0.03, 4), 0.0316).error_db, -24.0);
    // with little noise it follows too
    CHECK_BELOW(run(2048, 256, MovingPaths(urban, 0.0126, 5), 1e-4).error_db, -40.0);
}

void echoes_anywhere_in_the_guard_interval()
{
    for (const double echo : {1.0, 85.3, 200.0, 255.0})
        CHECK_BELOW(run(2048, 256, MovingPaths({0, echo}, 0.003, 6), 0.01).error_db, -25.0);
    CHECK_BELOW(run(2048, 512, MovingPaths({0, 510}, 0.003, 7), 0.01).error_db, -25.0);
    // the FFT begins somewhat late or early
    CHECK_BELOW(run(2048, 256, MovingPaths({-20, 100}, 0.003, 8), 0.01).error_db, -25.0);
}

void nothing_measured_is_no_channel()
{
    const DvbtLayout layout(2048);
    StationaryChannel channel(layout, 64);
    std::vector<cfloat> answer(layout.carriers, 1);
    for (int i = 0; i < 100; i++) {
        channel.push(nullptr, std::size_t(i) % 4);
        channel.estimate(0, answer.data());
        CHECK(std::all_of(answer.begin(), answer.end(), [](cfloat h) { return h == cfloat(0); }));
    }
    const std::vector<cfloat> silence(layout.carriers);
    for (int i = 0; i < 100; i++) {
        channel.push(silence.data(), std::size_t(i) % 4);
        channel.estimate(0, answer.data());
        CHECK(std::all_of(answer.begin(), answer.end(), [](cfloat h) { return h == cfloat(0); }));
    }
}

} // namespace

int main()
{
    as_good_as_it_should_be();
    echoes_anywhere_in_the_guard_interval();
    nothing_measured_is_no_channel();
    return check::result("test_stationary_channel");
}
