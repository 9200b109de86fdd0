/*
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#include <gnuradio/diffsem/core/link/frame_receiver.h>
#include <gnuradio/diffsem/core/link/noise_estimate.h>
#include <gnuradio/diffsem/core/link/ofdm.h>

#include "base/linalg.h"

#include <algorithm>
#include <cmath>
#include <vector>

namespace gr {
namespace diffsem {
namespace core {

namespace {

constexpr double pi = 3.14159265358979323846;
//! Symbols from the middle of the sync words to the first symbol behind them.
constexpr double lever = 1.5;
static_assert(lever == 1.5, "residual() turns by three halves");
constexpr double residual_range = 1.2, residual_step = 0.02; // rad per symbol
constexpr double residual_deviation = 0.35;                  // of what the preamble leaves at -5 dB
//! A carrier is hit whose sync words miss the channel of the others by this times the noise, and this share of the power:
//! noise does so once in 10^4 carriers.
constexpr double hit = 9, hit_share = 0.05;
constexpr double most_hit = 0.25; //!< of the carriers; more, and it is the belief that is wrong
constexpr int fillings = 6;
constexpr float most_soft = 10; //!< of a soft bit: one carrier must not decide against the others

void check_carriers(const std::vector<int>& carriers,
                    int n,
                    const char* name,
                    std::vector<int>& use)
{
    for (int k : carriers) {
        if (k < 0 || k >= n)
            throw Error(std::string(name) + ": carrier " + std::to_string(k) + " is outside 0.." +
                        std::to_string(n - 1));
        if (use[k]++)
            throw Error(std::string(name) + ": carrier " + std::to_string(k) +
                        " is used twice; give each carrier one use");
    }
}

} // namespace

void FrameLayout::check() const
{
    const int n = fft_len();
    if (n < 8 || word2.size() != word1.size())
        throw Error("sync_words have " + std::to_string(word1.size()) + " and " +
                    std::to_string(word2.size()) + " values: give two of the FFT length");
    std::vector<int> use(n, 0);
    check_carriers(data, n, "occupied_carriers", use);
    check_carriers(pilots, n, "pilot_carriers", use);
    if (data.empty())
        throw Error("occupied_carriers is empty: give the data carriers of one symbol");
    if (pilots.empty() || pilot_symbols.empty())
        throw Error("pilot_carriers is empty: the phase is followed on pilots; give some");
    for (std::size_t i = 0; i < pilot_symbols.size(); i++)
        if (pilot_symbols[i].size() != pilots.size())
            throw Error("pilot_symbols[" + std::to_string(i) + "] has " +
                        std::to_string(pilot_symbols[i].size()) + " values for " +
                        std::to_string(pilots.size()) + " pilots: give one for each");
    for (int k = 0; k < n; k++)
        for (const auto* word : {&word1, &word2})
            if (std::fabs(std::abs((*word)[k]) - (use[k] ? 1.0f : 0.0f)) > 1e-3f)
                throw Error("sync_words: carrier " + std::to_string(k) + " has magnitude " +
                            std::to_string(std::abs((*word)[k])) +
                            "; give 1 on data and pilot carriers, 0 on all others");
    if (frame_symbols < 1 || frame_symbols > 1000)
        throw Error("frame_symbols is " + std::to_string(frame_symbols) + ": give 1 to 1000");
}

FrameFront::FrameFront(FrameLayout layout) : d_layout(std::move(layout))
{
    d_layout.check();
    const int n = d_layout.fft_len();
    d_reference.assign(n, 0);
    for (int k = 0; k < n; k++)
        if (std::norm(d_layout.word1[k]) > 0) {
            d_used.push_back(k);
            d_reference[k] = std::sqrt(2.0f);
        }
    const int m = static_cast<int>(d_used.size());
    const int taps = d_layout.cp_len + 1;
    Eigen::VectorXd belief(taps); // mean power of each delay
    for (int d = 0; d < taps; d++)
        belief[d] = std::exp(-std::fabs(16.0 * d / d_layout.cp_len - 5) / 4) + 0.05;
    belief /= belief.sum();
    std::vector<std::complex<double>> apart(n); // of two carriers, by how many they are apart
    for (int k = 0; k < n; k++)
        for (int d = 0; d < taps; d++)
            apart[k] += std::polar(belief[d], -2 * pi * k * d / n);
    Eigen::MatrixXcd covariance(m, m), basis;
    for (int i = 0; i < m; i++)
        for (int j = 0; j < m; j++)
            covariance(i, j) = apart[(d_used[i] - d_used[j] + n) % n];
    Eigen::VectorXd strength;
    hermitian_eigen(covariance, strength, basis);
    d_basis.resize(static_cast<std::size_t>(m) * m);
    d_strength.resize(m);
    for (int j = 0; j < m; j++) {
        d_strength[j] = std::max(0.0f, static_cast<float>(strength[j]));
        for (int i = 0; i < m; i++)
            d_basis[j * m + i] = cfloat(basis(i, j));
    }
    d_combined.assign(n, 0);
    d_taps.assign(n, 0);
    d_error.assign(n, 0);
    d_excess.assign(n, 0);
    d_average.assign(m, 0);
}

void FrameFront::sync(const cfloat* first, const cfloat* second)
{
    const int m = static_cast<int>(d_used.size());
    std::vector<cfloat> a(m), b(m);
    for (int i = 0; i < m; i++) {
        const int k = d_used[i];
        a[i] = first[k] * std::conj(d_layout.word1[k]);
        b[i] = second[k] * std::conj(d_layout.word2[k]);
    }
    d_noise = std::max(repeated_noise(a.data(), b.data(), nullptr, m, d_average.data()), 1e-30f);
    infer();
    spare_the_hit(a, b);
    for (int i = 0; i < m; i++)
        d_combined[d_used[i]] = std::sqrt(2.0f) * d_average[i];
}

// Power and taps from the average of both words.
void FrameFront::infer()
{
    const int m = static_cast<int>(d_used.size());
    double power = 0;
    for (int i = 0; i < m; i++)
        power += std::norm(d_average[i]) / m;
    const double v = 0.5 * d_noise; // of the average
    d_power = static_cast<float>(std::max(power - v, v / std::sqrt(double(m))));
    for (int k : d_used)
        d_taps[k] = d_error[k] = 0;
    for (int j = 0; j < m; j++) {
        const double strength = d_strength[j] * d_power;
        if (strength < 1e-6 * v)
            continue;
        const cfloat* u = &d_basis[static_cast<std::size_t>(j) * m];
        std::complex<double> c = 0;
        for (int i = 0; i < m; i++)
            c += std::complex<double>(std::conj(u[i]) * d_average[i]);
        c *= strength / (strength + v);
        const double left = strength * v / (strength + v);
        for (int i = 0; i < m; i++) {
            d_taps[d_used[i]] += cfloat(c) * u[i];
            d_error[d_used[i]] += static_cast<float>(left * std::norm(u[i]));
        }
    }
}

// Interference, or the notch that took it out, hits some carriers: their words differ from each other or from what the
// other carriers say of the channel. Those are left out of the noise of the others, get the channel of the others, and
// a noise of their own.
void FrameFront::spare_the_hit(const std::vector<cfloat>& first, const std::vector<cfloat>& second)
{
    const int m = static_cast<int>(d_used.size());
    for (int k : d_used)
        d_excess[k] = 0;
    std::complex<double> cross = 0;
    for (int i = 0; i < m; i++)
        cross += std::complex<double>(std::conj(first[i]) * second[i]);
    const cfloat turn = std::abs(cross) > 0 ? cfloat(cross / std::abs(cross)) : cfloat(1, 0);
    std::vector<float> apart(m);
    for (int i = 0; i < m; i++)
        apart[i] = 0.5f * std::norm(second[i] - turn * first[i]);
    std::vector<float> sorted = apart;
    std::nth_element(sorted.begin(), sorted.begin() + m / 2, sorted.end());
    // of exponential variables, from their median; few carriers do not move it
    const double usual = std::max(1e-30, sorted[m / 2] / std::log(2.0));
    std::vector<int> found;
    for (int i = 0; i < m; i++) {
        const double miss = std::norm(d_average[i] - d_taps[d_used[i]]);
        if (apart[i] > hit * usual || miss > hit * 0.5 * usual + hit_share * d_power)
            found.push_back(i);
    }
    if (found.empty() || found.size() > most_hit * m)
        return;
    const auto heard = d_average;
    std::vector<bool> is_hit(m, false);
    for (int i : found)
        is_hit[i] = true;
    double noise = 0;
    for (int i = 0; i < m; i++)
        if (!is_hit[i])
            noise += apart[i] / double(m - static_cast<int>(found.size()));
    d_noise = static_cast<float>(std::max(noise, 1e-30));
    // Expectation and maximisation for what is missing: the others' channel is put there, again and again.
    for (int i : found)
        d_average[i] = 0;
    for (int round = 0; round < fillings; round++) {
        infer();
        for (int i : found)
            d_average[i] = d_taps[d_used[i]];
    }
    infer();
    for (int i : found)
        d_excess[d_used[i]] =
            static_cast<float>(std::max<double>(apart[i], 2 * std::norm(heard[i] - d_average[i])));
}

cfloat FrameFront::turn_back(double step, int s)
{
    return cfloat(std::polar(1.0, -step * (s + lever)));
}

double FrameFront::residual(const cfloat* symbols, int n) const
{
    const int len = d_layout.fft_len();
    std::vector<std::complex<double>> z(n);
    for (int s = 0; s < n; s++) {
        const auto& pilots = d_layout.pilot_symbols[s % d_layout.pilot_symbols.size()];
        for (std::size_t p = 0; p < pilots.size(); p++) {
            const int k = d_layout.pilots[p];
            z[s] += std::complex<double>(std::conj(d_taps[k] * pilots[p]) * symbols[s * len + k]) *
                    (2.0 / (d_noise + d_error[k] + d_excess[k]));
        }
    }
    double best = 0, top = -1e300;
    const int steps = static_cast<int>(residual_range / residual_step);
    static const auto turns = [steps] { // of each step; half of one turns the lever too
        std::vector<std::complex<double>> half;
        for (int i = -steps; i <= steps; i++)
            half.push_back(std::polar(1.0, -0.5 * i * residual_step));
        return half;
    }();
    for (int i = -steps; i <= steps; i++) {
        const double step = i * residual_step;
        double sum = -0.5 * step * step / (residual_deviation * residual_deviation);
        const auto half = turns[static_cast<std::size_t>(i + steps)];
        const auto one = half * half;
        auto turn = one * half; // the lever is 1.5 symbols
        for (int s = 0; s < n; s++) {
            sum += z[s].real() * turn.real() - z[s].imag() * turn.imag();
            turn = {turn.real() * one.real() - turn.imag() * one.imag(),
                    turn.real() * one.imag() + turn.imag() * one.real()};
        }
        if (sum > top) {
            top = sum;
            best = step;
        }
    }
    return best;
}

void FrameFront::soft_bits(const cfloat* symbols, double step, HeaderSoftBits& soft) const
{
    const int carriers = static_cast<int>(d_layout.data.size());
    for (int i = 0; i < FrameHeader::symbols; i++) {
        const int s = i / carriers, k = d_layout.data[i % carriers];
        const cfloat y = symbols[s * d_layout.fft_len() + k] * turn_back(step, s);
        const cfloat matched =
            std::conj(d_taps[k]) * y * (2 * std::sqrt(2.0f) / (d_noise + d_error[k] + d_excess[k]));
        soft[2 * i] = std::clamp(matched.real(), -most_soft, most_soft);
        soft[2 * i + 1] = std::clamp(matched.imag(), -most_soft, most_soft);
    }
}

FrameNoise::FrameNoise(FrameLayout layout)
    : d_layout(std::move(layout)),
      d_carriers(d_layout.word1.size())
{
    d_layout.check();
}

float FrameNoise::measure(cfloat* frame,
                          int payload,
                          const FrameHeader& header,
                          const cfloat* taps,
                          float noise_var,
                          const float* error_var,
                          float& error_scale,
                          const float* lost)
{
    const int len = d_layout.fft_len(), headers = d_layout.header_symbols();
    const int carriers = static_cast<int>(d_layout.data.size());
    const auto sent = d_code.modulate(header);
    struct Known {
        int symbol, carrier;
        cfloat value;
    };
    std::vector<Known> known;
    for (int i = 0; i < FrameHeader::symbols; i++)
        known.push_back({i / carriers, d_layout.data[i % carriers], sent[i]});
    for (int s = 0; s < headers + payload; s++) {
        const auto& pilots = d_layout.pilot_symbols[s % d_layout.pilot_symbols.size()];
        for (std::size_t p = 0; p < pilots.size(); p++)
            known.push_back({s, d_layout.pilots[p], pilots[p]});
    }

    // The equaliser turns each symbol to the mean phase of its pilots, weighted by |h|^2.
    double weight = 0, centre = 0;
    for (int k : d_layout.pilots) {
        weight += std::norm(taps[k]);
        centre += std::norm(taps[k]) * (k - len / 2);
    }
    centre = weight > 0 ? centre / weight : 0;
    double cross = 0, square = 0;
    for (const auto& p : known) {
        const double w = std::norm(taps[p.carrier]) * std::norm(p.value);
        const double x = (p.carrier - len / 2 - centre) * (p.symbol + lever);
        cross += w * x * (frame[p.symbol * len + p.carrier] / p.value).imag();
        square += w * x * x;
    }
    const double slope = square > 0 ? cross / square : 0; // rad per carrier and symbol
    d_clock = slope * len / (2 * pi * (len + d_layout.cp_len));
    for (int s = 0; s < headers + payload; s++)
        for (int k = 0; k < len; k++)
            frame[s * len + k] *=
                cfloat(std::polar(1.0, -slope * (k - len / 2 - centre) * (s + lever)));

    d_loss = 0; // noise of a symbol all of whose samples are lost: the mean power of a bin
    for (int k = 0; k < len; k++)
        d_loss += (std::norm(taps[k]) + noise_var) / len;
    struct Look {
        double error, should;
    };
    const auto look = [&](const Known& p) -> Look {
        const int k = p.carrier;
        return {std::norm(taps[k]) * std::norm(frame[p.symbol * len + k] - p.value),
                noise_var + known_error(error_var[k], noise_var) * std::norm(p.value) +
                    (lost ? lost[p.symbol] * d_loss : 0)};
    };
    // Of each carrier, by the symbols in which all are known: what changes within the frame is the same for all there.
    std::vector<double> found(len), stated(len);
    std::vector<int> count(len);
    for (const auto& p : known)
        if (p.symbol < headers && std::norm(taps[p.carrier]) > 0) {
            const auto at = look(p);
            found[p.carrier] += at.error;
            stated[p.carrier] += at.should;
            count[p.carrier]++;
        }
    d_carriers.add(found, stated, count);
    // Then of all together, and of each symbol: a gain step, a gap or a burst of interference spoils some.
    const auto& factor = d_carriers.factors();
    std::vector<double> sum(headers + payload), looks(headers + payload);
    double all_found = 0, all_stated = 0;
    for (const auto& p : known) {
        const auto at = look(p);
        const double should = at.should * factor[p.carrier];
        all_found += at.error;
        all_stated += should;
        if (std::norm(taps[p.carrier]) > 0 && should > 0) {
            sum[p.symbol] += at.error / should;
            looks[p.symbol]++;
        }
    }
    error_scale = all_stated > 0 ? static_cast<float>(all_found / all_stated) : 1.0f;
    for (auto& v : sum)
        v /= std::max(1e-30f, error_scale);
    d_symbols = noise_factors(sum, looks);
    return noise_var * error_scale;
}

FramePayload FrameNoise::read(cfloat* frame,
                              int symbols,
                              const FrameHeader& header,
                              const cfloat* taps,
                              float noise_var,
                              const float* error_var,
                              const float* lost)
{
    float error_scale = 1;
    const float noise =
        measure(frame, symbols, header, taps, noise_var, error_var, error_scale, lost);
    const std::size_t carriers = d_layout.data.size();
    std::vector<float> of_carrier(carriers);
    double power = 0;
    for (std::size_t i = 0; i < carriers; i++) {
        const int k = d_layout.data[i];
        const auto factor = static_cast<float>(d_carriers.factors()[k]);
        of_carrier[i] =
            equalised_noise(taps[k], factor * noise, factor * error_scale * error_var[k]);
        power += std::norm(taps[k]) / carriers;
    }
    FramePayload out;
    out.symbols.reserve(symbols * carriers);
    out.noise_var.reserve(symbols * carriers);
    for (int s = 0; s < symbols; s++) {
        const cfloat* symbol = frame + (d_layout.header_symbols() + s) * d_layout.fft_len();
        // Samples taken out as impulses are missing on all carriers alike.
        const int at = d_layout.header_symbols() + s;
        const double missing = lost ? lost[at] * d_loss * error_scale : 0;
        const auto here = static_cast<float>(d_symbols[at]);
        for (std::size_t i = 0; i < carriers; i++) {
            out.symbols.push_back(symbol[d_layout.data[i]]);
            const float power = std::norm(taps[d_layout.data[i]]);
            out.noise_var.push_back(here *
                                    (missing > 0 && power > 0
                                         ? of_carrier[i] + static_cast<float>(missing / power)
                                         : of_carrier[i]));
        }
    }
    const double snr = noise > 0 ? power / noise : 1e9;
    out.snr_db = 10 * std::log10(std::max(snr, 1e-9));
    return out;
}

} // namespace core
} // namespace diffsem
} // namespace gr
