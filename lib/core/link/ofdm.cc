/*
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#include <gnuradio/diffsem/core/link/ofdm.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

namespace gr {
namespace diffsem {
namespace core {

namespace {

constexpr std::size_t min_empty_carriers = 4;

// Without the test for NaN that operator* carries: the same digits, half the time.
inline cfloat product(cfloat a, cfloat b)
{
    return cfloat(a.real() * b.real() - a.imag() * b.imag(),
                  a.real() * b.imag() + a.imag() * b.real());
}

// The textbook quotient, as gr-digital is compiled (-fcx-limited-range): the last digit of the taps
// depends on it.
inline cfloat quotient(cfloat a, cfloat b)
{
    const float power = b.real() * b.real() + b.imag() * b.imag();
    return cfloat((a.real() * b.real() + a.imag() * b.imag()) / power,
                  (a.imag() * b.real() - a.real() * b.imag()) / power);
}

bool is_zero(cfloat v)
{
    return v == cfloat(0, 0);
}

} // namespace

SyncWords::SyncWords(const std::vector<cfloat>& sync1,
                     const std::vector<cfloat>& sync2,
                     int max_carr_offset,
                     bool force_one,
                     int delay_window)
    : d_n(static_cast<int>(sync1.size())),
      d_two(!sync2.empty() && !force_one)
{
    if (sync1.empty())
        throw Error("sync_symbol1 is empty: give the FFT length's values of the first "
                    "synchronisation symbol");
    if (!sync2.empty() && sync2.size() != sync1.size())
        throw Error("sync_symbol2 has " + std::to_string(sync2.size()) +
                    " values, sync_symbol1 has " + std::to_string(sync1.size()) +
                    ": both need one for each carrier of the FFT");
    if (max_carr_offset < -1)
        throw Error("max_carr_offset is " + std::to_string(max_carr_offset) +
                    ": give the largest number of carriers, or -1 for all possible");
    if (delay_window < 0)
        throw Error("eq_noise_red_len is " + std::to_string(delay_window) +
                    ": give a number of samples, or 0");
    d_reference = d_two ? sync2 : sync1;
    const auto active = [](const cfloat& v) { return !is_zero(v); };
    const auto first = std::find_if(d_reference.begin(), d_reference.end(), active);
    if (first == d_reference.end())
        throw Error(std::string(d_two ? "sync_symbol2" : "sync_symbol1") +
                    " is zero on all carriers: nothing can be estimated from it");
    d_first = static_cast<int>(first - d_reference.begin());
    d_last = d_n - 1 -
             static_cast<int>(std::find_if(d_reference.rbegin(), d_reference.rend(), active) -
                              d_reference.rbegin());
    const int last_sent = d_last;
    if (sync2.empty() && d_first + 1 < d_n && is_zero(sync1[d_first + 1])) {
        // every second carrier: the taps between are copied, one more than was sent
        d_interpolate = true;
        d_last = std::min(d_last + 1, d_n - 1);
    }

    const int limit = max_carr_offset < 0 ? d_n : max_carr_offset;
    d_min_offset = -(std::min(limit, d_first) & ~1);
    d_max_offset = std::min(limit, d_n - 1 - d_last) & ~1;

    if (d_two) {
        for (int k = 0; k < d_n; k++) {
            if (is_zero(sync1[k]))
                continue;
            const cfloat ratio = quotient(sync2[k], sync1[k]);
            if (is_zero(ratio))
                continue;
            d_ratio_index.push_back(k);
            d_ratio.push_back(std::conj(ratio));
        }
    } else {
        for (int k = d_first; k < d_last - 2 && k < d_n - 2; k += 2) {
            const float step = std::norm(sync1[k] - sync1[k + 2]);
            if (step == 0)
                continue;
            d_step_index.push_back(k);
            d_step.push_back(step);
        }
        d_received_step.assign(d_n, 0.0f);
    }

    d_observed.assign(d_n, 0);
    d_tap_noise_gain.assign(d_n, 0.0f);
    double gain = 0;
    int count = 0;
    for (int k = d_first; k <= last_sent; k++) {
        if (is_zero(d_reference[k]))
            continue;
        d_observed[k] = 1;
        d_tap_noise_gain[k] = 1.0f / std::norm(d_reference[k]);
        gain += d_tap_noise_gain[k];
        count++;
        d_equal_power = d_equal_power && std::abs(d_tap_noise_gain[k] - d_tap_noise_gain[d_first]) <
                                             1e-5f * d_tap_noise_gain[d_first];
    }
    d_mean_tap_noise_gain = static_cast<float>(gain / count);

    // DC is left out: a radio's oscillator leaks there.
    for (int k = d_first; k <= last_sent; k++)
        if (is_zero(sync1[k]) && k != d_n / 2)
            d_empty.push_back(k);
    if (d_empty.size() < min_empty_carriers) {
        d_empty.clear();
        try {
            d_tail = std::make_unique<DelayTailNoise>(
                d_observed, delay_window > 0 ? delay_window : 0.25f * d_n);
        } catch (const Error& e) {
            d_noise_error =
                std::string("the first synchronisation symbol leaves no carriers empty "
                            "to measure the noise on, and as for its delay response: ") +
                e.what();
        }
    }
}

int SyncWords::search_offset(const cfloat* received)
{
    if (d_min_offset == d_max_offset)
        return d_min_offset;
    return d_two ? search_two(received) : search_one(received);
}

int SyncWords::search_two(const cfloat* received) const
{
    const cfloat* first = received;
    const cfloat* second = received + d_n;
    float best = 0;
    int offset = 0;
    for (int g = d_min_offset; g <= d_max_offset; g += 2) {
        float re = 0, im = 0;
        for (std::size_t i = 0; i < d_ratio_index.size(); i++) {
            const int k = d_ratio_index[i] + g;
            const cfloat term = product(product(std::conj(first[k]), d_ratio[i]), second[k]);
            re += term.real();
            im += term.imag();
        }
        const float magnitude = std::abs(cfloat(re, im));
        if (magnitude > best) {
            best = magnitude;
            offset = g;
        }
    }
    return offset;
}

int SyncWords::search_one(const cfloat* received)
{
    for (int k = 0; k < d_n - 2; k++)
        d_received_step[k] = std::norm(received[k] - received[k + 2]);
    float best = 0;
    int offset = 0;
    for (int g = d_min_offset; g <= d_max_offset; g += 2) {
        float sum = 0;
        for (std::size_t i = 0; i < d_step_index.size(); i++)
            sum += d_step[i] * d_received_step[d_step_index[i] + g];
        if (sum > best) {
            best = sum;
            offset = g;
        }
    }
    return offset;
}

void SyncWords::ls_taps(const cfloat* received, int offset, cfloat* taps) const
{
    const cfloat* symbol = received + (d_two ? d_n : 0);
    std::fill(taps, taps + d_n, cfloat(0, 0));
    for (int k = std::max(0, -offset); k < d_n - std::max(0, offset); k++)
        if (d_observed[k])
            taps[k] = quotient(symbol[k + offset], d_reference[k]);
    if (d_interpolate) {
        for (int k = d_first + 1; k < d_last; k += 2)
            taps[k] = taps[k - 1];
        taps[d_last] = taps[d_last - 1];
    }
}

float SyncWords::noise(const cfloat* received, int offset, const cfloat* taps) const
{
    if (d_tail)
        return (*d_tail)(taps) / d_mean_tap_noise_gain;
    double sum = 0;
    int count = 0;
    for (int k : d_empty) {
        if (k + offset == d_n / 2)
            continue;
        sum += std::norm(received[k + offset]);
        count++;
    }
    return count ? static_cast<float>(sum / count) : std::numeric_limits<float>::quiet_NaN();
}

int SyncWords::noise_freedom() const
{
    if (d_tail)
        return d_tail->freedom();
    // With an offset one of them may fall on DC, which is left out.
    return static_cast<int>(d_empty.size()) - (d_min_offset < d_max_offset ? 1 : 0);
}

void SyncWords::tap_noise(float noise, float* out) const
{
    const float most = *std::max_element(d_tap_noise_gain.begin(), d_tap_noise_gain.end());
    for (int k = 0; k < tap_noise_size(); k++)
        out[k] = noise * (d_tap_noise_gain[k] > 0 && !d_equal_power ? d_tap_noise_gain[k] : most);
}

// Lag 1 has the range of a whole turn but is noisy; each doubling of the lag, with the step so far
// taken out, halves the error, down to 16/12 of the least possible variance at lag n/2.
double CommonPhase::step(const std::vector<cfloat>& z)
{
    using cdouble = std::complex<double>;
    const std::size_t n = z.size();
    double step = 0;
    for (std::size_t lag = 1; lag < n && (lag == 1 || lag <= n / 2); lag *= 2) {
        cdouble sum = 0;
        for (std::size_t s = 0; s + lag < n; s++)
            sum += cdouble(std::conj(z[s])) * cdouble(z[s + lag]);
        sum *= std::polar(1.0, -step * lag);
        step += std::arg(sum) / lag;
    }
    return step;
}

void CommonPhase::track(std::vector<cfloat>& z)
{
    using cdouble = std::complex<double>;
    const std::size_t n = z.size();
    for (auto& v : z)
        if (!std::isfinite(v.real()) || !std::isfinite(v.imag()))
            v = 0; // a spoilt symbol must not reach its neighbours
    const cdouble step = std::polar(1.0, this->step(z));

    d_forward.resize(n);
    cdouble state = 0;
    for (std::size_t s = 0; s < n; s++) {
        state = double(d_memory) * step * state + cdouble(z[s]);
        d_forward[s] = state;
    }
    state = 0;
    for (std::size_t s = n; s-- > 0;) {
        const cdouble sum = d_forward[s] + state; // state: what comes after s
        state = double(d_memory) * std::conj(step) * (state + cdouble(z[s]));
        const double size = std::abs(sum);
        z[s] = size > 0 ? cfloat(sum / size) : cfloat(1, 0);
    }
}

float equalised_noise(cfloat h, float noise_var, float error_var, float symbol_power)
{
    const float power = std::norm(h);
    return power > 0 ? (noise_var + known_error(error_var, noise_var) * symbol_power) / power
                     : std::numeric_limits<float>::infinity();
}

} // namespace core
} // namespace diffsem
} // namespace gr
