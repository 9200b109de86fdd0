/*
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#include <gnuradio/diffsem/core/link/channel_tracker.h>

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
    1.3;                             // by which what is below the noise there is taken to be noise
constexpr float empty = 9, far = 12; // distances from the points, over the noise; exp(-12) = 6e-6
constexpr double floor_share =
    1e-9;                     // least noise over the channel's power: single precision has no more
constexpr double leak = 1e-5; // of the basis, see DelayBasis

double energy(const cfloat* x, std::size_t n)
{
    return ConstVector(x, n).squaredNorm();
}

cfloat product_conj(cfloat a, cfloat b) // a conj(b)
{
    return {a.real() * b.real() + a.imag() * b.imag(), a.imag() * b.real() - a.real() * b.imag()};
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
      d_symbols(carriers.size())
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
                looks.data->run(received[k], d_base[k], 1, mean, p, nearest);
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
    const float noise = static_cast<float>(d_noise);
    for (std::size_t k = 0; k < carriers(); k++) {
        auto& symbol = d_symbols[k];
        symbol.miss = std::numeric_limits<float>::infinity();
        if (!looks.in_use[k] || d_base[k] == cfloat(0))
            continue;
        const cfloat y = received[k], h = d_here[k];
        cfloat nearest = symbol.mean = looks.known[k];
        symbol.power = symbol.expected = std::norm(nearest);
        const bool pilot = nearest != cfloat(0);
        if (!pilot) {
            symbol.expected = looks.data->power();
            looks.data->run(
                y, h, noise + error * symbol.expected, symbol.mean, symbol.power, nearest);
        }
        const float miss = std::norm(y - product(h, nearest));
        const bool nothing_sent =
            !pilot && std::norm(y) < miss && miss > empty * (noise + error * std::norm(nearest));
        if (std::isfinite(miss) && !nothing_sent)
            symbol.miss = miss;
    }
}

ChannelTracker::Seen
ChannelTracker::look(const cfloat* received, const Looks& looks, float error, cfloat* innovation)
{
    const std::size_t n = carriers();
    decide(received, looks, error);
    // Half of the carriers may be far off, where the channel has moved; more than noise and they explain is interference.
    d_misses.clear();
    for (const auto& symbol : d_symbols)
        if (std::isfinite(symbol.miss))
            d_misses.push_back(symbol.miss);
    const std::size_t count = d_misses.size();
    if (count)
        std::nth_element(d_misses.begin(), d_misses.begin() + count / 2, d_misses.end());
    // Looks are at the channel times the symbols' mean power; a much stronger carrier must not overshoot.
    double unit = 0;
    for (const auto& symbol : d_symbols)
        if (std::isfinite(symbol.miss))
            unit += symbol.expected / count;
    const float most =
        far * std::max(float(d_noise + error * unit), count ? 2 * d_misses[count / 2] : 0);

    double total = 0;
    for (std::size_t k = 0; k < n; k++) {
        d_look[k] = 0;
        const auto& symbol = d_symbols[k];
        if (!std::isfinite(symbol.miss))
            continue;
        const cfloat h = d_here[k];
        d_look[k] = (product_conj(received[k], symbol.mean) - symbol.power * h) /
                    std::max(float(unit), symbol.expected / 2);
        float distance = std::norm(received[k] - product(h, symbol.mean)) +
                         std::norm(h) * std::max(0.0f, symbol.power - std::norm(symbol.mean));
        if (symbol.miss > most) {
            d_look[k] *= std::sqrt(most / symbol.miss);
            distance = std::min(distance, most);
        }
        total += distance;
    }
    analyse(d_look.data(), innovation);
    const double change = energy(innovation, size()), looked = energy(d_look.data(), n);
    const double spare = n - size(), share = double(count) / n;
    const bool tells = share > 0.5 && spare > 0;
    // A symbol that is hardly known says little of the channel, but its distance is as large as another's; so the share of the
    // looks that no channel explains is taken, not what is left of the distance.
    const double outside = looked > 0 ? std::max(0.0, 1 - change / looked) : 1.0;
    return {share, unit, change / size(), tells ? total * outside / (spare * share) : -1.0};
}

void ChannelTracker::keep_means(int symbol)
{
    for (std::size_t k = 0; k < carriers(); k++)
        d_means[symbol * carriers() + k] =
            std::isfinite(d_symbols[k].miss) ? d_symbols[k].mean : cfloat(0);
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
    double sum = 0;
    for (int s = 0; s < symbols; s++) {
        d_variance += q * d_weight;
        if (d_told[s] == 0)
            continue;
        const ConstVector seen(d_seen.data() + s * r, r);
        d_gain = d_variance + 1 / d_told[s];
        sum -= d_gain.log().sum() + ((seen - state).array().abs2() / d_gain).sum() / float(d_noise);
        d_gain = d_variance / d_gain;
        state.array() += d_gain * (seen - state).array();
        d_variance *= 1 - d_gain;
    }
    return sum;
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
