/*
 * SPDX-License-Identifier: GPL-3.0-or-later
 *
 * The equaliser that follows the channel: what comes back without noise, how near it comes with noise, and what it
 * must not believe. Channels have known responses, so every error is against the truth.
 */
#include "check.h"

#include <gnuradio/diffsem/core/base/error.h>
#include <gnuradio/diffsem/core/base/philox.h>
#include <gnuradio/diffsem/core/link/demap.h>
#include <gnuradio/diffsem/core/link/tracking_equaliser.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

using namespace gr::diffsem::core;

namespace {

constexpr int n = 64, guard = 16;
constexpr float unknown = std::numeric_limits<float>::quiet_NaN();
constexpr double pi = 3.14159265358979323846;

std::vector<cfloat> random(int item, std::size_t count)
{
    std::vector<cfloat> x(count);
    Rng(5).fill(item, 0, Domain::complex, count, reinterpret_cast<float*>(x.data()));
    for (auto& v : x)
        v *= std::sqrt(0.5f);
    return x;
}

std::vector<float> errors(float error_var)
{
    return std::vector<float>(n, error_var);
}

bool is_pilot(int k)
{
    return k == -21 || k == -7 || k == 7 || k == 21;
}

std::vector<PilotEqualiser::Pilots> pilot_sets()
{
    std::vector<PilotEqualiser::Pilots> sets(3);
    for (int s = 0; s < 3; s++)
        for (int k : {-21, -7, 7, 21})
            sets[s].push_back({k + n / 2, (s == 1) == (k == 21) ? 1.0f : -1.0f});
    return sets;
}

TrackingLayout layout(const char* constellation)
{
    TrackingLayout out;
    out.occupied.assign(1, std::vector<std::uint8_t>(n, 0));
    for (int k = -26; k <= 26; k++)
        out.occupied[0][k + n / 2] = k != 0 && !is_pilot(k);
    out.pilots = pilot_sets();
    out.constellations = {constellation_points(constellation)};
    return out;
}

// Paths at some delays; each turns at its own speed, up to `doppler` cycles a symbol, beside the phase of all.
struct Air {
    double doppler = 0, noise = 0, phase = 0.3, step = 0.02, clock = 0;
    int symbols = 40, paths = 5;
    double delay = 0; // of the first
};

struct Frame {
    std::vector<cfloat> sent, received, truth, first; // first: least squares one symbol before
};

Frame frame(const TrackingLayout& l, const Air& air, int item)
{
    Frame f;
    f.sent.assign(n * air.symbols, 0);
    const auto draw = random(3 * item, n * air.symbols),
               noise = random(3 * item + 1, n * (air.symbols + 1)),
               gains = random(3 * item + 2, 2 * air.paths);
    for (int s = 0; s < air.symbols; s++) {
        const auto& points =
            l.constellations[std::min<std::size_t>(s, l.constellations.size() - 1)];
        for (int k = 0; k < n; k++)
            if (l.occupied[0][k])
                f.sent[s * n + k] =
                    points[int((std::arg(draw[s * n + k]) + pi) * 1e6) % points.size()];
        for (const auto& p : l.pilots[s % l.pilots.size()])
            f.sent[s * n + p.carrier] = p.value;
    }
    f.truth.assign(n * (air.symbols + 1), 0);
    for (int s = 0; s <= air.symbols; s++)
        for (int k = 0; k < n; k++) {
            if (!l.occupied[0][k] && !is_pilot(k - n / 2))
                continue;
            std::complex<double> h = 0;
            for (int p = 0; p < air.paths; p++) {
                const double speed = air.doppler * std::cos(std::arg(gains[air.paths + p]));
                const double delay = air.delay + p * 2.3 + air.clock * s;
                h += std::complex<double>(gains[p]) *
                     std::polar(1 / std::sqrt(air.paths),
                                2 * pi * (speed * s - delay * (k - n / 2) / n));
            }
            f.truth[s * n + k] = h * std::polar(1.0, air.phase + air.step * s);
        }
    f.first.assign(f.truth.begin(), f.truth.begin() + n);
    const float size = std::sqrt(air.noise);
    for (int k = 0; k < n; k++)
        if (f.first[k] != cfloat(0))
            f.first[k] += size * noise[k];
    f.truth.erase(f.truth.begin(), f.truth.begin() + n);
    f.received.resize(f.sent.size());
    for (std::size_t i = 0; i < f.sent.size(); i++)
        f.received[i] = f.truth[i] * f.sent[i] + size * noise[n + i];
    return f;
}

// Mean |equalised h - received|^2 as an error of the channel: what y / z is away from the truth, over the noise.
double
channel_error(const Frame& f, const std::vector<cfloat>& out, std::size_t begin, std::size_t end)
{
    double sum = 0;
    std::size_t count = 0;
    for (std::size_t i = begin * n; i < end * n; i++) {
        if (f.truth[i] == cfloat(0))
            continue;
        sum += std::norm(f.received[i] / out[i] - f.truth[i]);
        count++;
    }
    return sum / count;
}

double mean_error(const char* constellation, const Air& air, bool told = true, int frames = 10)
{
    const auto l = layout(constellation);
    double sum = 0;
    for (int i = 0; i < frames; i++) {
        const auto f = frame(l, air, i);
        auto out = f.received;
        auto state = f.first;
        const float noise = told ? float(air.noise) : unknown;
        TrackingEqualiser(l, 0.8f).run(
            out.data(), air.symbols, 0, state.data(), noise, errors(noise).data());
        sum += channel_error(f, out, 0, air.symbols);
    }
    return sum / frames;
}

void a_moving_channel_comes_back_without_noise()
{
    for (const char* constellation : {"bpsk", "qpsk", "16qam", "64qam"}) {
        Air air;
        air.doppler = 0.001;
        for (int symbols : {1, 2, 33, 70}) {
            air.symbols = symbols;
            const auto l = layout(constellation);
            const auto f = frame(l, air, 1);
            auto out = f.received;
            auto state = f.first;
            TrackingEqualiser(l, 0.8f).run(
                out.data(), symbols, 0, state.data(), unknown, errors(unknown).data());
            CHECK_BELOW(channel_error(f, out, 0, symbols), 1e-5);
            for (int k = 0; k < n; k++)
                CHECK_NEAR(std::abs(state[k] - f.truth[(symbols - 1) * n + k]), 0, 0.02);
        }
    }
}

// Known data would leave r/52 of the noise over 41 looks, r = 26 numbers: -19 dB; the phase of 4 pilots adds to it.
void a_still_channel_is_averaged()
{
    Air air;
    for (double snr_db : {10.0, 20.0, 35.0}) {
        air.noise = std::pow(10, -snr_db / 10);
        for (bool told : {true, false}) {
            CHECK_BELOW(mean_error("qpsk", air, told) / air.noise, 0.06);
            CHECK_BELOW(mean_error("16qam", air, told) / air.noise, snr_db < 15 ? 0.3 : 0.06);
        }
    }
}

// 0.1 cycles in 45 symbols, 35 dB: no worse than the noise of a single look, which decision feedback would have.
void a_moving_channel_is_followed()
{
    Air air;
    air.noise = std::pow(10, -3.5);
    for (double cycles : {0.01, 0.036, 0.1}) {
        air.doppler = cycles / 45;
        CHECK_BELOW(mean_error("qpsk", air) / air.noise, 0.5);
    }
    // 500 symbols, a clock 40 ppm off: 0.0032 samples a symbol
    air.symbols = 500;
    air.clock = 80 * 40e-6;
    air.doppler = 0;
    CHECK_BELOW(mean_error("qpsk", air, true, 3) / air.noise, 0.3);
    air.doppler = 0.02 / 45;
    CHECK_BELOW(mean_error("qpsk", air, true, 3) / air.noise, 0.3);
}

// The last symbol is a third full, as that of a packet is: what was not sent says nothing of the channel.
void carriers_that_were_left_empty_are_not_believed()
{
    const auto l = layout("qpsk");
    Air air;
    air.noise = 1e-3;
    air.doppler = 0.02 / 45;
    auto f = frame(l, air, 2);
    const auto noise = random(99, n);
    for (int k = 22; k < n; k++)
        if (l.occupied[0][k])
            f.received[39 * n + k] = std::sqrt(1e-3f) * noise[k];
    auto out = f.received;
    auto state = f.first;
    TrackingEqualiser(l, 0.8f).run(
        out.data(), air.symbols, 0, state.data(), 1e-3f, errors(1e-3f).data());
    CHECK_BELOW(channel_error(f, out, 0, 39) / air.noise, 0.5);
    double error = 0;
    for (int k = 6; k <= 58; k++)
        error += std::norm(state[k] - f.truth[39 * n + k]) / 53;
    CHECK_BELOW(error / air.noise, 2);
}

void interference_and_lost_samples_are_limited()
{
    const auto l = layout("qpsk");
    Air air;
    air.noise = 1e-3;
    auto f = frame(l, air, 3);
    for (int k = 26; k < 36; k++)
        f.received[12 * n + k] += 30.0f * f.sent[12 * n + 40];
    for (int k = 0; k < n; k++)
        f.received[20 * n + k] = unknown;
    auto out = f.received;
    auto state = f.first;
    TrackingEqualiser(l, 0.8f).run(
        out.data(), air.symbols, 0, state.data(), 1e-3f, errors(1e-3f).data());
    CHECK_BELOW(channel_error(f, out, 0, 12) / air.noise, 0.5);
    CHECK_BELOW(channel_error(f, out, 21, 40) / air.noise, 0.5);
}

// An echo far outside of the window: carriers are then followed one by one, and nothing is cut off.
void delays_outside_of_the_window_are_kept()
{
    Air air;
    air.noise = 1e-3;
    air.paths = 14; // to 30 samples; the window ends at 20
    CHECK_BELOW(mean_error("qpsk", air) / air.noise, 1.5);
    air.doppler = 0.02 / 45;
    CHECK_BELOW(mean_error("qpsk", air) / air.noise, 1.5);
}

void the_header_has_points_of_its_own()
{
    auto l = layout("16qam");
    l.constellations.insert(l.constellations.begin(), 2, constellation_points("bpsk"));
    Air air;
    air.noise = 1e-3;
    const auto f = frame(l, air, 4);
    auto out = f.received;
    auto state = f.first;
    TrackingEqualiser(l, 0.8f).run(
        out.data(), air.symbols, 0, state.data(), 1e-3f, errors(1e-3f).data());
    CHECK_BELOW(channel_error(f, out, 0, 40) / air.noise, 0.2);
}

void posterior_of_symbols()
{
    const auto psk = [] {
        std::vector<cfloat> out;
        for (int m = 0; m < 8; m++)
            out.push_back(std::polar(1.0f, float(pi / 4 * m + 0.2)));
        return out;
    }();
    for (const auto& points : {constellation_points("bpsk"),
                               constellation_points("qpsk"),
                               constellation_points("64qam"),
                               psk}) {
        const SymbolPosterior posterior(points);
        const cfloat y(0.3f, -0.8f), h(0.7f, 0.4f);
        for (float noise : {0.02f, 0.5f}) {
            std::complex<double> mean = 0;
            double total = 0, power = 0, most = 0;
            cfloat nearest;
            for (auto x : points) {
                const double w = std::exp(-std::norm(y - h * x) / noise);
                total += w;
                mean += w * std::complex<double>(x);
                power += w * std::norm(x);
                if (w > most) {
                    most = w;
                    nearest = x;
                }
            }
            cfloat got_mean, got_nearest;
            float got_power;
            posterior.run(&y, &h, noise, 1, &got_mean, &got_power, &got_nearest);
            CHECK_NEAR(std::abs(std::complex<double>(got_mean) - mean / total), 0, 1e-5);
            CHECK_NEAR(got_power, power / total, 1e-5);
            CHECK_NEAR(std::abs(got_nearest - nearest), 0, 1e-5);
        }
    }
    const SymbolPosterior posterior(constellation_points("16qam"));
    std::vector<cfloat> y, h, mean(130), nearest(130);
    std::vector<float> power(130);
    for (int k = 0; k < 130; k++) { // more than are taken at a time, near the points and far off
        y.push_back(std::polar(0.03f * k, 1.7f * k));
        h.push_back(std::polar(1.0f, 0.3f * k));
    }
    posterior.run(y.data(), h.data(), 0.01f, y.size(), mean.data(), power.data(), nearest.data());
    for (std::size_t k = 0; k < y.size(); k++) {
        cfloat one_mean, one_nearest;
        float one_power;
        posterior.run(&y[k], &h[k], 0.01f, 1, &one_mean, &one_power, &one_nearest);
        CHECK_NEAR(std::abs(mean[k] - one_mean), 0, 1e-5);
        CHECK_NEAR(power[k], one_power, 1e-5);
        CHECK_NEAR(std::abs(nearest[k] - one_nearest), 0, 1e-5);
    }
    CHECK_THROWS(SymbolPosterior({cfloat(1)}), {"constellation has 1 points"});
    CHECK_THROWS(SymbolPosterior({cfloat(0), cfloat(unknown)}), {"not finite"});
}

void basis_of_delays()
{
    std::vector<int> carriers;
    for (int k = -100; k < 100; k++)
        if (k)
            carriers.push_back(k);
    const DelayBasis basis(carriers, 256, -8, 40);
    CHECK(basis.size() < 0.5 * carriers.size());
    std::vector<cfloat> c(basis.size()), back(carriers.size());
    for (double delay : {-7.5, 0.0, 3.3, 39.7, 60.0}) {
        std::vector<cfloat> h;
        for (int k : carriers)
            h.push_back(std::polar(1.0f, float(-2 * pi * k * delay / 256)));
        basis.analyse(h.data(), c.data());
        basis.synthesise(c.data(), back.data());
        double error = 0;
        for (std::size_t k = 0; k < h.size(); k++)
            error += std::norm(h[k] - back[k]) / h.size();
        if (delay < 40)
            CHECK_BELOW(error, 2e-4);
        else
            CHECK(error > 0.5);
    }
}

} // namespace

int main()
{
    posterior_of_symbols();
    basis_of_delays();
    a_moving_channel_comes_back_without_noise();
    a_still_channel_is_averaged();
    a_moving_channel_is_followed();
    carriers_that_were_left_empty_are_not_believed();
    interference_and_lost_samples_are_limited();
    delays_outside_of_the_window_are_kept();
    the_header_has_points_of_its_own();
    return check::result("tracking_equaliser");
}
