/*
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#include <gnuradio/diffsem/core/link/channel_tracker.h>

#include "link/tracker_loops.h"

#include <Eigen/Core>

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>

namespace gr {
namespace diffsem {
namespace core {

namespace {

using Vector = Eigen::Map<Eigen::VectorXcf>;
using ConstVector = Eigen::Map<const Eigen::VectorXcf>;

// Steps of the walk that a block's likelihood chooses from, over the noise variance.
constexpr float steps[] = {0, 1e-4f, 1e-3f, 1e-2f, 1e-1f, 1, 10, 100};
constexpr double prior_margin = 4; // of a coefficient's power over that of a flat profile of delays
constexpr double memory = 0.7;     // of the running means over symbols
constexpr double least_spare =
    0.125; // of the carriers, that a window has to leave, or it is of no use
constexpr double outside =
    4; // times the noise, from where energy outside of the window is believed
constexpr double residue_margin =
    1.3;                  // by which what is below the noise there is taken to be noise
constexpr float far = 12; // distance from the points, over the noise; exp(-12) = 6e-6
constexpr double floor_share =
    1e-9;                     // least noise over the channel's power: single precision has no more
constexpr double leak = 1e-5; // of the basis, see DelayBasis
constexpr float largest = std::numeric_limits<float>::max();

double energy(const cfloat* x, std::size_t n)
{
    return ConstVector(x, n).squaredNorm();
}

cfloat product(cfloat a, cfloat b)
{
    return {a.real() * b.real() - a.imag() * b.imag(), a.real() * b.imag() + a.imag() * b.real()};
}

} // namespace

ChannelTracker::ChannelTracker(std::vector<int> carriers, int fft_len, double window)
    // A window of an FFT that begins late sees negative delays, one that begins early longer ones.
    : d_basis(carriers, fft_len, -window / 4, window * 5 / 4),
      d_base(carriers.size()),
      d_here(carriers.size()),
      d_look(carriers.size()),
      d_mean(carriers.size()),
      d_nearest(carriers.size()),
      d_power(carriers.size()),
      d_expected(carriers.size()),
      d_miss(carriers.size()),
      d_distance(carriers.size())
{
}

void ChannelTracker::start(const cfloat* channel, float noise_var, float error_var)
{
    std::copy_n(channel, carriers(), d_base.begin());
    d_told_noise = noise_var;
    d_told_error = error_var;
    d_fresh = true;
}

void ChannelTracker::analyse(const cfloat* response, cfloat* coefficients) const
{
    if (d_whole)
        std::copy_n(response, carriers(), coefficients);
    else
        d_basis.analyse(response, coefficients);
}

void ChannelTracker::synthesise(const cfloat* coefficients, cfloat* response) const
{
    if (d_whole)
        std::copy_n(coefficients, carriers(), response);
    else
        d_basis.synthesise(coefficients, response);
}

// The first symbol decides what of the first estimate is noise, and how much, where nobody said so.
void ChannelTracker::begin(const cfloat* received, const Looks& looks)
{
    const std::size_t n = carriers();
    const double power = energy(d_base.data(), n) / n;
    if (!(d_told_noise > 0) || !std::isfinite(d_told_noise)) {
        d_told_noise = 0;
        double sum = 0;
        std::size_t count = 0;
        for (std::size_t k = 0; k < n; k++) {
            cfloat mean, nearest = looks.known[k];
            float p;
            if (nearest == cfloat(0))
                looks.data->run(&received[k], &d_base[k], 1, 1, &mean, &p, &nearest);
            const double miss = std::norm(received[k] - product(d_base[k], nearest));
            if (!looks.in_use[k] || !std::isfinite(miss))
                continue;
            sum += miss / (1 + std::norm(nearest)); // the rest is the estimate's
            count++;
        }
        d_noise = count ? sum / count : 0;
    } else {
        d_noise = d_told_noise;
    }
    d_noise = std::max(d_noise, floor_share * power + std::numeric_limits<float>::min());
    double error = d_told_error;
    if (!(error >= 0) || !std::isfinite(error))
        error = d_noise;

    d_whole = d_basis.size() > (1 - least_spare) * n ||
              std::find(d_base.begin(), d_base.end(), cfloat(0)) != d_base.end();
    if (!d_whole)
        clean(power, error);
    if (d_whole) {
        d_weight.setOnes(n);
        d_error.setConstant(n, error / d_noise);
    }
}

// Takes from the first estimate what no channel with delays in the window can be; an unlikely one finds it is whole.
void ChannelTracker::clean(double power, double error)
{
    const std::size_t n = carriers(), r = d_basis.size();
    Eigen::VectorXcf coefficients(r);
    d_basis.analyse(d_base.data(), coefficients.data());
    d_basis.synthesise(coefficients.data(), d_here.data());
    const double spare = n - r;
    const double out = (Vector(d_base.data(), n) - Vector(d_here.data(), n)).squaredNorm();
    d_whole = out > spare * (outside * std::max(d_noise, error) + leak * power);
    if (d_whole)
        return;
    for (std::size_t k = 0; k < n; k++)
        d_base[k] -= d_here[k];
    const double kept = out > 0 ? std::max(0.0, 1 - residue_margin * spare * error / out) : 0.0;

    d_weight = d_basis.shares() / d_basis.shares().maxCoeff();
    const float each = std::min(error * n / r, std::max(d_noise, error)); // a coefficient's
    const Eigen::ArrayXf expected = float(prior_margin * power) * d_basis.shares();
    d_error = expected / (expected + each);
    coefficients.array() *= d_error;
    d_error *= float(each / d_noise);
    d_basis.synthesise(coefficients.data(), d_here.data());
    for (std::size_t k = 0; k < n; k++)
        d_base[k] = d_here[k] + float(kept) * d_base[k];
}

// What each carrier is thought to hold, and how far it is from that; infinite: it says nothing.
void ChannelTracker::decide(const cfloat* received, const Looks& looks, float error)
{
    const std::size_t n = carriers();
    const float noise = static_cast<float>(d_noise), expected = looks.data->power();
    looks.data->run(received,
                    d_here.data(),
                    noise + error * expected,
                    n,
                    d_mean.data(),
                    d_power.data(),
                    d_nearest.data());
    for (std::size_t k = 0; k < n; k++) {
        d_expected[k] = expected;
        if (looks.known[k] == cfloat(0))
            continue;
        d_mean[k] = d_nearest[k] = looks.known[k];
        d_power[k] = d_expected[k] = std::norm(looks.known[k]);
    }
    tracker::distances(received,
                       d_here.data(),
                       d_base.data(),
                       looks.known,
                       d_nearest.data(),
                       looks.in_use,
                       noise,
                       error,
                       n,
                       d_miss.data());
}

ChannelTracker::Seen
ChannelTracker::look(const cfloat* received, const Looks& looks, float error, cfloat* innovation)
{
    const std::size_t n = carriers();
    decide(received, looks, error);
    float worst = 0, unit = 0;
    std::size_t count = 0;
    for (std::size_t k = 0; k < n; k++)
        if (d_miss[k] <= largest) {
            worst = std::max(worst, d_miss[k]);
            unit += d_expected[k];
            count++;
        }
    if (count)
        unit /= count;
    tracker::looks_at(received,
                      d_here.data(),
                      d_mean.data(),
                      d_power.data(),
                      d_expected.data(),
                      d_miss.data(),
                      unit,
                      n,
                      d_look.data(),
                      d_distance.data());
    const float near = far * float(d_noise + error * unit);
    if (worst > near)
        limit(near);
    const double total = Eigen::Map<const Eigen::ArrayXf>(d_distance.data(), n).sum();
    analyse(d_look.data(), innovation);
    const double change = energy(innovation, size()), looked = energy(d_look.data(), n);
    const double spare = n - size(), share = double(count) / n;
    const bool tells = share > 0.5 && spare > 0;
    // A symbol that is hardly known says little of the channel, but its distance is as large as another's; so the share of the
    // looks that no channel explains is taken, not what is left of the distance.
    const double outside = looked > 0 ? std::max(0.0, 1 - change / looked) : 1.0;
    return {share, unit, change / size(), tells ? total * outside / (spare * share) : -1.0};
}

// Half of the carriers may be far off, where the channel has moved; more than noise and they explain is interference.
void ChannelTracker::limit(float near)
{
    d_misses.clear();
    for (float miss : d_miss)
        if (miss <= largest)
            d_misses.push_back(miss);
    const auto middle = d_misses.begin() + d_misses.size() / 2;
    std::nth_element(d_misses.begin(), middle, d_misses.end());
    const float most = std::max(near, far * 2 * *middle);
    for (std::size_t k = 0; k < carriers(); k++)
        if (d_miss[k] > most && d_miss[k] <= largest) {
            d_look[k] *= std::sqrt(most / d_miss[k]);
            d_distance[k] = std::min(d_distance[k], most);
        }
}

void ChannelTracker::keep_means(int symbol)
{
    for (std::size_t k = 0; k < carriers(); k++)
        d_means[symbol * carriers() + k] = d_miss[k] <= largest ? d_mean[k] : cfloat(0);
}

void ChannelTracker::forward(const cfloat* received, const Looks* looks, int symbols)
{
    const std::size_t n = carriers(), r = size();
    const float unit = d_weight.mean();
    float change = -1, drift = 0;
    d_variance = d_error * float(d_noise);
    Eigen::VectorXcf state = Eigen::VectorXcf::Zero(r), innovation;
    for (int s = 0; s < symbols; s++) {
        synthesise(state.data(), d_here.data());
        Vector(d_here.data(), n) += Vector(d_base.data(), n);
        Vector seen(d_seen.data() + s * r, r);
        const float before = d_variance.mean();
        const auto now = look(received + s * n, looks[s], (before + drift) * r / n, seen.data());
        const float told = now.share * now.unit;
        d_told[s] = told;
        if (now.noise >= 0)
            d_noise = std::max(d_told_noise, memory * d_noise + (1 - memory) * now.noise);
        change = change < 0 ? now.change : float(memory) * change + float(1 - memory) * now.change;
        // What the innovations show beyond noise and error is how far the channel goes in a symbol.
        drift = told > 0 ? std::max(0.0f, change - float(d_noise / now.unit) - before) : 0.0f;
        d_variance += drift / unit * d_weight;
        d_gain = d_variance * told / (d_variance * told + float(d_noise));
        d_variance *= 1 - d_gain;
        keep_means(s);
        innovation = seen;
        seen += state;
        state.array() += d_gain * innovation.array();
    }
}

// Of the block's coefficients as they were seen, if the walk's step is q; but for a constant.
double ChannelTracker::likelihood(int symbols, float q)
{
    const std::size_t r = size();
    Vector state(d_state.data(), r);
    state.setZero();
    d_variance = d_error;
    d_growth.setOnes(r);
    d_misfit.setZero(r);
    double sum = 0;
    for (int s = 0; s < symbols; s++) {
        tracker::filter(d_seen.data() + s * r,
                        d_weight.data(),
                        d_told[s],
                        q,
                        r,
                        d_variance.data(),
                        d_state.data(),
                        d_growth.data(),
                        d_misfit.data());
        if (s + 1 == symbols || !(d_growth.maxCoeff() < 1e18f)) { // few logarithms, and no overflow
            sum -= d_growth.log().sum();
            d_growth.setOnes();
        }
    }
    return sum - d_misfit.sum() / d_noise;
}

void ChannelTracker::smooth(int symbols, float q)
{
    const std::size_t r = size();
    d_variance = d_error;
    for (int s = 0; s < symbols; s++) {
        const ConstVector seen(d_seen.data() + s * r, r);
        Vector state(d_state.data() + s * r, r);
        d_variance += q * d_weight;
        d_gain = d_variance * d_told[s] / (d_variance * d_told[s] + 1);
        state.array() = d_gain * seen.array();
        if (s > 0)
            state.array() += (1 - d_gain) * ConstVector(state.data() - r, r).array();
        d_variance *= 1 - d_gain;
        d_smoothed.col(s) = d_variance; // filtered; what comes later makes it smaller, below
    }
    for (int s = symbols - 1; s-- > 0;) {
        Vector state(d_state.data() + s * r, r);
        auto variance = d_smoothed.col(s);
        d_variance = variance + q * d_weight;
        d_gain = variance / d_variance.max(std::numeric_limits<float>::min());
        state.array() += d_gain * (Vector(state.data() + r, r) - state).array();
        variance += d_gain.square() * (d_smoothed.col(s + 1) - d_variance);
    }
}

void ChannelTracker::observe(const cfloat* received, const Looks* looks, int symbols)
{
    if (d_fresh)
        begin(received, looks[0]);
    d_fresh = false;
    const std::size_t n = carriers(), r = size(), all = symbols * r;
    d_seen.resize(std::max(d_seen.size(), all));
    d_state.resize(std::max(d_state.size(), all));
    d_means.resize(symbols * n);
    d_told.resize(symbols);
    d_smoothed.resize(r, symbols);
    const double before = d_noise;
    forward(received, looks, symbols);
    d_error *= float(before / d_noise); // from here on variances are over the noise
}

void ChannelTracker::look_again(const cfloat* received,
                                const Looks* looks,
                                int symbols,
                                const cfloat* channel)
{
    const std::size_t n = carriers(), r = size();
    for (int s = 0; s < symbols; s++) {
        std::copy_n(channel + s * n, n, d_here.begin());
        Vector seen(d_seen.data() + s * r, r);
        const float error = static_cast<float>(d_noise * d_smoothed.col(s).mean() * r / n);
        const auto now = look(received + s * n, looks[s], error, seen.data());
        d_told[s] = static_cast<float>(now.share * now.unit);
        seen += ConstVector(d_state.data() + s * r, r);
        keep_means(s);
    }
}

void ChannelTracker::turn_looks(const std::vector<cfloat>& turns)
{
    const std::size_t r = size();
    Eigen::VectorXcf base(r);
    analyse(d_base.data(), base.data());
    for (std::size_t s = 0; s < turns.size(); s++) {
        Vector seen(d_seen.data() + s * r, r);
        seen = (seen + base) * turns[s] - base;
    }
}

void ChannelTracker::infer(int symbols, cfloat* channel)
{
    const std::size_t n = carriers(), r = size();
    double best = -std::numeric_limits<double>::infinity();
    float step = 0;
    for (float q : steps)
        if (const double l = likelihood(symbols, q); l > best) {
            best = l;
            step = q;
        }
    smooth(symbols, step);
    for (int s = 0; s < symbols; s++) {
        synthesise(d_state.data() + s * r, channel + s * n);
        Vector(channel + s * n, n) += Vector(d_base.data(), n);
    }
}

void ChannelTracker::advance(const cfloat* last, cfloat turn)
{
    for (std::size_t k = 0; k < carriers(); k++)
        d_base[k] = product(last[k], turn);
    d_error = d_smoothed.rightCols(1);
}

} // namespace core
} // namespace diffsem
} // namespace gr
