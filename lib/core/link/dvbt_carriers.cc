/*
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#include <gnuradio/diffsem/core/link/dvbt_carriers.h>

#include <algorithm>
#include <cmath>
#include <complex>

namespace gr {
namespace diffsem {
namespace core {

namespace {

using complex = std::complex<double>;

constexpr double most_power = 1e27; // of all carriers: its square has no place in single precision
constexpr double two_pi = 6.283185307179586;
constexpr std::size_t looks = 6;    // pairs of symbols by which the offset is told
constexpr int most_step = 24;       // samples, of the window from one symbol to the next
constexpr double clearly = 1.15;    // a step explains so much more than none
constexpr double slow = 0.05;       // of the means of turn and slope
constexpr double memory = 0.9;      // of the scores of phases
constexpr double hysteresis = 0.02; // of the sum of scores
constexpr std::size_t settled = 8;  // symbols after which a change of phase is a loss

cfloat product_conj(cfloat a, cfloat b) // a conj(b)
{
    return {a.real() * b.real() + a.imag() * b.imag(), a.imag() * b.real() - a.real() * b.imag()};
}

} // namespace

DvbtCarriers::DvbtCarriers(const DvbtLayout& layout)
    : d_layout(layout),
      d_before(layout.carriers),
      d_now(layout.carriers),
      d_spectrum(layout.fft_len),
      d_offsets(2 * most_offset + 1),
      d_turned(layout.continual.size())
{
    for (std::size_t i = 0; i < layout.fft_len; i++)
        d_waves.push_back(cfloat(std::polar(1.0, two_pi * double(i) / double(layout.fft_len))));
}

void DvbtCarriers::restart()
{
    std::fill(d_offsets.begin(), d_offsets.end(), 0.0f);
    d_looked = d_count = 0;
    d_known = d_slipped = false;
    d_angle = d_slope = d_angle_step = d_slope_step = 0;
    d_scores.fill(0);
    d_lead = 0;
}

bool DvbtCarriers::push(const cfloat* spectrum)
{
    double power = 0;
    for (std::size_t k = 0; k < d_layout.fft_len; k++)
        power += double(spectrum[k].real()) * spectrum[k].real() +
                 double(spectrum[k].imag()) * spectrum[k].imag();
    const bool usable = power > 0 && power < most_power; // false for what is no number
    if (!d_known)
        return usable && find_offset(spectrum);
    d_count++;
    d_angle += d_angle_step;
    d_slope += d_slope_step;
    if (!usable)
        return false;
    std::swap(d_before, d_now);
    derotate(spectrum);
    follow();
    find_phase();
    double tps = 0;
    for (const auto k : d_layout.tps)
        tps += product_conj(d_now[k], d_before[k]).real();
    d_tps = static_cast<float>(tps);
    return true;
}

// The offset at which the continual pilots turn alike.
bool DvbtCarriers::find_offset(const cfloat* spectrum)
{
    if (d_looked++) {
        for (int f = -most_offset; f <= most_offset; f++) {
            cfloat sum = 0;
            for (const auto k : d_layout.continual) {
                const std::size_t at =
                    d_layout.first + k + std::size_t(f + most_offset) - most_offset;
                sum += product_conj(spectrum[at], d_spectrum[at]);
            }
            d_offsets[std::size_t(f + most_offset)] += std::abs(sum);
        }
    }
    std::copy_n(spectrum, d_layout.fft_len, d_spectrum.begin());
    if (d_looked <= looks)
        return false;
    d_offset =
        int(std::max_element(d_offsets.begin(), d_offsets.end()) - d_offsets.begin()) - most_offset;
    d_known = true;
    derotate(spectrum);
    return false; // there is none before it
}

void DvbtCarriers::derotate(const cfloat* spectrum)
{
    std::copy_n(spectrum + d_layout.first + d_offset, d_layout.carriers, d_now.begin());
    const double slope = d_slope;
    const double middle = double(d_layout.carriers - 1) / 2;
    constexpr std::size_t block = 64;
    const complex step = std::polar(1.0, -slope);
    for (std::size_t from = 0; from < d_layout.carriers; from += block) {
        complex turn = std::polar(1.0, -(d_angle + slope * (double(from) - middle)));
        for (std::size_t k = from; k < std::min(from + block, d_layout.carriers); k++) {
            const cfloat x = d_now[k];
            const float re = float(turn.real()), im = float(turn.imag());
            d_now[k] = {x.real() * re - x.imag() * im, x.real() * im + x.imag() * re};
            turn = {turn.real() * step.real() - turn.imag() * step.imag(),
                    turn.real() * step.imag() + turn.imag() * step.real()};
        }
    }
}

// The turn of each continual pilot since the last symbol; a step of the window makes a slope of it.
void DvbtCarriers::follow()
{
    const std::size_t n = d_layout.fft_len;
    for (std::size_t i = 0; i < d_turned.size(); i++)
        d_turned[i] = product_conj(d_now[d_layout.continual[i]], d_before[d_layout.continual[i]]);
    const auto explained = [&](int step) {
        cfloat sum = 0;
        const std::size_t forward = (n + std::size_t(step + int(n))) % n;
        for (std::size_t i = 0; i < d_turned.size(); i++)
            sum += product_conj(d_turned[i], d_waves[forward * d_layout.continual[i] % n]);
        return std::abs(sum);
    };
    float most = explained(0) * float(clearly);
    int found = 0;
    for (int step = -most_step; step <= most_step; step++) {
        const float here = step ? explained(step) : 0;
        if (here > most) {
            most = here;
            found = step;
        }
    }
    const double middle = double(d_layout.carriers - 1) / 2;
    if (found) {
        const double slope = two_pi * found / double(n);
        d_slope += slope;
        for (std::size_t k = 0; k < d_layout.carriers; k++)
            d_now[k] *= std::polar(1.0f, -static_cast<float>(slope * (double(k) - middle)));
        for (std::size_t i = 0; i < d_turned.size(); i++)
            d_turned[i] =
                product_conj(d_now[d_layout.continual[i]], d_before[d_layout.continual[i]]);
    }
    complex low = 0, high = 0;
    for (std::size_t i = 0; i < d_turned.size(); i++)
        (double(d_layout.continual[i]) < middle ? low : high) += complex(d_turned[i]);
    const double share = std::max(slow, 1 / double(d_count + 1));
    d_angle_step += share * std::arg(low + high);
    d_slope_step +=
        share * std::arg(high * std::conj(low)) / middle; // so far apart are the halves' middles
}

void DvbtCarriers::find_phase()
{
    constexpr std::size_t step = DvbtLayout::spacing * DvbtLayout::phases;
    std::array<double, DvbtLayout::phases> power{};
    double all = 0;
    for (std::size_t q = 0; q < DvbtLayout::phases; q++) {
        std::size_t count = 0;
        for (std::size_t k = DvbtLayout::spacing * q; k + step < d_layout.carriers;
             k += step, count++)
            power[q] += std::norm(d_now[k]);
        power[q] /= double(count);
        all += power[q];
    }
    double sum = 0;
    for (std::size_t lead = 0; lead < DvbtLayout::phases; lead++) {
        auto& score = d_scores[lead];
        score = memory * score + (all > 0 ? power[(d_count + lead) % DvbtLayout::phases] / all : 0);
        sum += score;
    }
    const auto best =
        std::size_t(std::max_element(d_scores.begin(), d_scores.end()) - d_scores.begin());
    if (best != d_lead && d_scores[best] > d_scores[d_lead] + hysteresis * sum) {
        d_slipped = d_slipped || d_count > settled;
        d_lead = best;
    }
}

} // namespace core
} // namespace diffsem
} // namespace gr
