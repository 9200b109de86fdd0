/*
 * SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Symbols of DVB-T over paths that move, for tests.
 */
#pragma once

#include <gnuradio/diffsem/core/link/dvbt_layout.h>
#include <gnuradio/diffsem/core/link/dvbt_tps.h>

#include <cmath>
#include <complex>
#include <cstddef>
#include <random>
#include <vector>

using gr::diffsem::core::cfloat;
using gr::diffsem::core::DvbtLayout;
using gr::diffsem::core::DvbtParameters;
using gr::diffsem::core::DvbtTps;

constexpr double full_turn = 6.283185307179586;

//! What is sent: pilots, transmission parameters, QPSK.
class DvbtSender
{
public:
    explicit DvbtSender(const DvbtLayout& layout) : d_layout(layout), d_sign(1) {}

    //! Carriers of the symbol of this number, which counts from a superframe; each once, in order.
    std::vector<cfloat> symbol(int number)
    {
        const int place = number % DvbtLayout::symbols_per_frame;
        DvbtParameters parameters;
        parameters.frame = number / DvbtLayout::symbols_per_frame % 4;
        parameters.guard = 2;
        d_sign = place == 0                                          ? 1
                 : DvbtTps::word(parameters)[std::size_t(place - 1)] ? -d_sign
                                                                     : d_sign;
        std::vector<cfloat> x(d_layout.carriers);
        for (const auto k : d_layout.data[std::size_t(number) % 4])
            x[k] = point(number, k);
        for (std::size_t k = 3 * (std::size_t(number) % 4); k < d_layout.carriers; k += 12)
            x[k] = d_layout.pilot[k];
        for (const auto k : d_layout.continual)
            x[k] = d_layout.pilot[k];
        for (const auto k : d_layout.tps)
            x[k] = d_sign * d_layout.pilot[k] * 0.75f;
        return x;
    }
    //! Of a carrier of data.
    static cfloat point(int number, std::size_t k)
    {
        const std::size_t bits = (std::size_t(number) * 2654435761u ^ k * 40503u * 65537u) >> 7;
        return {bits & 1 ? -0.70710678f : 0.70710678f, bits & 2 ? -0.70710678f : 0.70710678f};
    }

private:
    const DvbtLayout& d_layout;
    float d_sign;
};

//! Paths of equal mean power that fade with Clarke's spectrum.
class MovingPaths
{
public:
    MovingPaths(std::vector<double> delays, double doppler, unsigned seed)
        : d_delays(std::move(delays))
    {
        std::mt19937 random(seed);
        std::normal_distribution<double> normal;
        for (std::size_t p = 0; p < d_delays.size(); p++)
            for (int w = 0; w < waves; w++) {
                const double scale = std::sqrt(0.5 / waves / double(d_delays.size()));
                d_amplitudes.push_back({scale * normal(random), scale * normal(random)});
                d_speeds.push_back(doppler * std::cos(full_turn * (w + 0.1 * double(p)) / waves));
            }
    }
    //! On all carriers, \p time in symbols.
    std::vector<cfloat> response(const DvbtLayout& layout, double time) const
    {
        std::vector<cfloat> h(layout.carriers);
        for (std::size_t p = 0; p < d_delays.size(); p++) {
            std::complex<double> gain = 0;
            for (std::size_t w = p * waves; w < (p + 1) * waves; w++)
                gain += d_amplitudes[w] * std::polar(1.0, full_turn * d_speeds[w] * time);
            for (std::size_t k = 0; k < h.size(); k++)
                h[k] += cfloat(gain * std::polar(1.0,
                                                 -full_turn * (double(k) - double(h.size() / 2)) *
                                                     d_delays[p] / double(layout.fft_len)));
        }
        return h;
    }

private:
    static constexpr int waves = 16;
    std::vector<double> d_delays, d_speeds;
    std::vector<std::complex<double>> d_amplitudes;
};

class Noise
{
public:
    Noise(double variance, unsigned seed)
        : d_random(seed),
          d_normal(0, float(std::sqrt(variance / 2)))
    {
    }
    cfloat operator()() { return {d_normal(d_random), d_normal(d_random)}; }

private:
    std::mt19937 d_random;
    std::normal_distribution<float> d_normal;
};
