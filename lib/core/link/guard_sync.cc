/*
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#include <gnuradio/diffsem/core/link/guard_sync.h>

#include "base/vector_clones.h"

#include <gnuradio/diffsem/core/base/error.h>

#include <algorithm>
#include <cmath>
#include <complex>
#include <string>

namespace gr {
namespace diffsem {
namespace core {

namespace {

using complex = std::complex<double>;

constexpr double two_pi = 6.283185307179586;
constexpr std::size_t first_look = 16; // symbols that are averaged before the first decision
constexpr std::size_t give_up = 48; // symbols after which an average that shows nothing begins anew
constexpr std::size_t memory = 256; // symbols of the averages
constexpr std::size_t every = 8;    // symbols from one look to the next
constexpr double found = 0.1;       // coherence from which a place is believed
constexpr double lost = 0.02;       // and below which it is no longer
constexpr std::size_t patience = 2048; // symbols of that
constexpr float clearly = 2;    // coherence of another place over that of the one that is kept
constexpr double weakest = 0.1; // path that counts, of the power
constexpr double surely = 4;    // deviations of noise that it has to be above
constexpr std::ptrdiff_t most_step = 16; // samples, from one look to the next
constexpr int most_fft = 65536;

// mean[n] += share (a[n] conj(b[n]) - mean[n]), and of the mean of both powers alike
DIFFSEM_VECTOR_CLONES
void average_products(const float* a,
                      const float* b,
                      float share,
                      std::size_t n,
                      float* mean,
                      float* power)
{
    for (std::size_t i = 0; i < n; i++) {
        const float re = a[2 * i] * b[2 * i] + a[2 * i + 1] * b[2 * i + 1];
        const float im = a[2 * i + 1] * b[2 * i] - a[2 * i] * b[2 * i + 1];
        const float both = a[2 * i] * a[2 * i] + a[2 * i + 1] * a[2 * i + 1] + b[2 * i] * b[2 * i] +
                           b[2 * i + 1] * b[2 * i + 1];
        mean[2 * i] += share * (re - mean[2 * i]);
        mean[2 * i + 1] += share * (im - mean[2 * i + 1]);
        power[i] += share * (both / 2 - power[i]);
    }
}

DIFFSEM_VECTOR_CLONES
float sum_of_squares(const float* x, std::size_t n)
{
    float sums[8] = {};
    for (std::size_t i = 0; i + 8 <= n; i += 8)
        for (std::size_t l = 0; l < 8; l++)
            sums[l] += x[i + l] * x[i + l];
    float out = 0;
    for (const float s : sums)
        out += s;
    return out;
}

int checked(int fft_len, int guard)
{
    GuardSync::check(fft_len, guard);
    return fft_len;
}

} // namespace

void GuardSync::check(int fft_len, int guard)
{
    if (fft_len < 16 || fft_len > most_fft)
        throw Error("fft_length is " + std::to_string(fft_len) + ": give 16 to " +
                    std::to_string(most_fft));
    if (guard < 4 || guard >= fft_len)
        throw Error("cp_length is " + std::to_string(guard) + ": give samples, 4 to " +
                    std::to_string(fft_len - 1));
}

GuardSync::GuardSync(int fft_len, int guard)
    : d_n(std::size_t(checked(fft_len, guard))),
      d_guard(std::size_t(guard)),
      d_symbol(d_n + d_guard),
      d_slack(d_guard / 2),
      d_smooth(std::max<std::size_t>(d_guard / 8, 2)),
      d_margin(std::max<std::size_t>(d_guard / 128, 2)),
      d_mean(d_symbol),
      d_power(d_symbol),
      d_size(d_symbol),
      d_sums(3 * d_symbol + 1),
      d_path(2 * d_guard),
      d_start(d_guard + d_slack / 2)
{
}

bool GuardSync::next(const cfloat* in, cfloat* out, std::size_t& consumed)
{
    average(in);
    d_fresh = false;
    consumed = d_symbol;
    const bool time = d_averaged >= first_look && d_averaged % every == first_look % every;
    if (!d_locked) {
        if (time)
            consumed = find();
        return false;
    }
    if (time || d_settling) {
        look();
        // Samples were lost: the averages have come to say another place.
        const float here = *std::max_element(
            d_size.begin() + std::ptrdiff_t(d_start - d_guard),
            d_size.begin() + std::ptrdiff_t(std::min(d_start + d_guard, d_symbol)));
        const float anywhere = *std::max_element(d_size.begin(), d_size.end());
        if (!d_settling && anywhere > clearly * here && anywhere > found) {
            d_losses++;
            consumed = find();
            return false;
        }
        keep();
        if (!d_locked)
            return false;
    }
    const std::size_t period = std::size_t(std::ptrdiff_t(d_symbol) + d_move);
    if (d_settling && d_move) {
        consumed = move(period);
        return false;
    }
    d_fresh = d_settling;
    d_settling = false;
    derotate(in + d_start, out);
    consumed = move(period);
    return true;
}

// The next call begins so many samples later: what is known moves with it.
std::size_t GuardSync::move(std::size_t samples)
{
    const auto by = std::ptrdiff_t(samples % d_symbol);
    std::rotate(d_mean.begin(), d_mean.begin() + by, d_mean.end());
    std::rotate(d_power.begin(), d_power.begin() + by, d_power.end());
    d_move = 0;
    d_phase = std::remainder(d_phase - two_pi * d_offset * double(samples) / double(d_n), two_pi);
    return samples;
}

void GuardSync::average(const cfloat* in)
{
    const auto* x = reinterpret_cast<const float*>(in);
    if (!std::isfinite(sum_of_squares(x, 2 * (d_symbol + d_n))))
        return; // says nothing
    d_averaged++;
    const auto share = 1 / float(std::min(d_averaged, memory));
    average_products(
        x, x + 2 * d_n, share, d_symbol, reinterpret_cast<float*>(d_mean.data()), d_power.data());
}

void GuardSync::forget()
{
    d_averaged = 0;
    std::fill(d_mean.begin(), d_mean.end(), cfloat(0));
    std::fill(d_power.begin(), d_power.end(), 0.0f);
}

/*
 * For each place the sum of e over the guard interval that ends there, over that of the power: circular, as the places of a
 * symbol are. For two paths it is flat between the ends of their guard intervals.
 */
void GuardSync::look()
{
    complex sum = 0;
    double power = 0;
    for (std::size_t i = d_symbol - d_guard; i < d_symbol; i++) {
        sum += complex(d_mean[i]);
        power += d_power[i];
    }
    for (std::size_t i = 0; i < d_symbol; i++) {
        d_size[i] = power > 0 ? float(std::abs(sum) / power) : 0;
        const std::size_t out = (i + d_symbol - d_guard) % d_symbol;
        sum += complex(d_mean[i]) - complex(d_mean[out]);
        power += double(d_power[i]) - double(d_power[out]);
    }
}

// Samples to where the highest sum comes to lie at the FFT's beginning; a symbol where there is none to believe.
std::size_t GuardSync::find()
{
    look();
    const auto peak = std::max_element(d_size.begin(), d_size.end());
    d_coherence = double(*peak);
    if (d_coherence < found) {
        if (d_averaged >= give_up)
            forget();
        return d_symbol;
    }
    d_locked = d_settling = true;
    d_offset_known = false;
    d_weak = 0;
    return move(std::size_t(peak - d_size.begin()) + d_symbol - d_start);
}

void GuardSync::keep()
{
    // Around the place that is known, no further than a guard interval.
    const auto begin = d_size.begin() + std::ptrdiff_t(d_start - d_guard);
    const auto end = d_size.begin() + std::ptrdiff_t(std::min(d_start + d_guard, d_symbol));
    const auto peak = std::max_element(begin, end);
    d_coherence = double(*peak);
    if (d_coherence < lost) {
        d_weak += every;
        if (d_weak >= patience) {
            d_locked = false;
            d_losses++;
            forget();
        }
        return;
    }
    d_weak = 0;
    const auto place = std::size_t(peak - d_size.begin());
    complex sum = 0;
    for (std::size_t i = place + d_symbol - d_guard; i < place + d_symbol; i++)
        sum += complex(d_mean[i % d_symbol]);
    double offset = -std::arg(sum) / two_pi;
    if (d_offset_known) // the same branch
        offset = d_offset + std::remainder(offset - d_offset, 1.0);
    d_offset = offset;
    d_offset_known = true;

    const std::ptrdiff_t off = first_end(place, cfloat(sum)) - std::ptrdiff_t(d_margin);
    if (d_settling)
        d_move = off;
    else if (std::abs(off) > 1 + std::ptrdiff_t(d_margin))
        d_move = std::clamp<std::ptrdiff_t>(off, -most_step, most_step);
}

/*
 * By (1) a path makes e higher where its guard interval begins, and as much lower where it ends: by the mean of both steps its power
 * is known. The first path that counts: samples from d_start to its guard interval's end.
 */
std::ptrdiff_t GuardSync::first_end(std::size_t place, cfloat sum)
{
    const auto turn = std::conj(sum) / std::abs(sum);
    d_sums[0] = 0;
    for (std::size_t i = 0; i < 3 * d_symbol; i++) {
        const cfloat e = d_mean[i % d_symbol];
        d_sums[i + 1] = d_sums[i] + double(e.real() * turn.real() - e.imag() * turn.imag());
    }
    const double mean = double(std::abs(sum)) / double(d_guard);
    const auto width = d_smooth;
    const auto step = [&](std::size_t i) { // behind less before
        return (d_sums[i + width] - 2 * d_sums[i] + d_sums[i - width]) / double(width);
    };
    // Guard intervals that end within one before or behind the place of the highest sum.
    const std::size_t from = d_symbol + place - 2 * d_guard, count = 2 * d_guard;
    for (std::size_t i = 0; i < count; i++)
        d_path[i] = (step(from + i) - step(from + i + d_guard)) / 2;
    const double looks = double(std::min(d_averaged, memory));
    const auto strongest = std::max_element(d_path.begin(), d_path.begin() + std::ptrdiff_t(count));
    const double least = std::max(
        mean * std::max(weakest, surely / std::sqrt(double(width) * looks)), *strongest * weakest);
    auto i = std::max(strongest - std::ptrdiff_t(d_guard), d_path.begin());
    while (i < strongest) {
        const auto around = std::max_element(i, std::min(i + std::ptrdiff_t(width), strongest + 1));
        if (*i >= least && around == i)
            break;
        ++i;
    }
    return std::ptrdiff_t(from) + (i - d_path.begin()) + std::ptrdiff_t(d_guard) -
           std::ptrdiff_t(d_symbol + d_start);
}

void GuardSync::derotate(const cfloat* in, cfloat* out) const
{
    const double step = -two_pi * d_offset / double(d_n);
    constexpr std::size_t block = 64;
    cfloat wave[block];
    for (std::size_t i = 0; i < block; i++)
        wave[i] = cfloat(std::polar(1.0, step * double(i)));
    for (std::size_t from = 0; from < d_n; from += block) {
        const auto turn = cfloat(std::polar(1.0, d_phase + step * double(d_start + from)));
        for (std::size_t i = 0; i < std::min(block, d_n - from); i++) {
            const cfloat x = in[from + i];
            const float re = wave[i].real() * turn.real() - wave[i].imag() * turn.imag();
            const float im = wave[i].real() * turn.imag() + wave[i].imag() * turn.real();
            out[from + i] = {x.real() * re - x.imag() * im, x.real() * im + x.imag() * re};
        }
    }
}

} // namespace core
} // namespace diffsem
} // namespace gr
