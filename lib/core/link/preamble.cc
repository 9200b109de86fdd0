/*
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#include <gnuradio/diffsem/core/link/preamble.h>

#include <algorithm>
#include <cmath>
#include <vector>

namespace gr {
namespace diffsem {
namespace core {

namespace {

constexpr double pi = 3.14159265358979323846;
constexpr double impulse = 1e6; // times the energy of all the others
constexpr int chunk = 1024;     // positions at once: scratch stays in the cache
constexpr double grid_step = 0.25;
constexpr double independent_offsets = 0.6; // of the grid's, as far as the tail goes

// Upper tail of the gamma distribution of shape k at x (series of the lower one; k up to some tens).
double gamma_tail(double k, double x)
{
    double term = std::exp(k * std::log(x) - x - std::lgamma(k + 1)), sum = term;
    for (int i = 1; i < 1000 && term > 1e-17 * sum; i++) {
        term *= x / (k + i);
        sum += term;
    }
    return std::max(0.0, 1 - sum);
}

double gamma_threshold(double k, double tail)
{
    double low = k, high = k + 50 * std::sqrt(k) + 50;
    for (int i = 0; i < 60; i++) {
        const double middle = 0.5 * (low + high);
        (gamma_tail(k, middle) > tail ? low : high) = middle;
    }
    return high;
}

} // namespace

PreambleCorrelator::PreambleCorrelator(const std::vector<cfloat>& word1,
                                       const std::vector<cfloat>& word2,
                                       int cp_len,
                                       float max_offset,
                                       double false_alarm)
    : d_fft_len(static_cast<int>(word1.size())),
      d_cp(cp_len)
{
    if (word1.empty() || word1.size() % 8 || word2.size() != word1.size())
        throw Error("sync_words have " + std::to_string(word1.size()) + " and " +
                    std::to_string(word2.size()) +
                    " values: give two of the FFT length, a multiple of 8");
    if (cp_len < 1 || cp_len > d_fft_len || 2 * (d_fft_len + cp_len) % (d_fft_len / 8))
        throw Error("cp_len is " + std::to_string(cp_len) + ": give 1 to the FFT length (" +
                    std::to_string(d_fft_len) + "), a multiple of " +
                    std::to_string(d_fft_len / 16));
    if (!(max_offset >= 0) || max_offset > 3)
        throw Error("max_offset is " + std::to_string(max_offset) +
                    ": give 0 to 3 carrier spacings");
    if (!(false_alarm > 1e-12) || false_alarm > 0.1)
        throw Error("false_alarm is " + std::to_string(false_alarm) +
                    ": give a probability per sample between 1e-12 and 0.1");

    double power = 0;
    for (const auto* word : {&word1, &word2})
        for (int t = -cp_len; t < d_fft_len; t++) {
            std::complex<double> sum = 0;
            for (int k = 0; k < d_fft_len; k++)
                sum += std::complex<double>((*word)[k]) *
                       std::polar(1.0, 2 * pi * (k - d_fft_len / 2) * t / d_fft_len);
            d_template.push_back(cfloat(sum));
            power += std::norm(sum);
        }
    if (!(power > 0))
        throw Error("sync_words are zero on all carriers: nothing can be found with them");
    for (auto& v : d_template)
        v *= static_cast<float>(std::sqrt(d_template.size() / power));

    d_segment = d_fft_len / 8;
    d_segments = static_cast<int>(d_template.size()) / d_segment;
    const int steps = static_cast<int>(std::ceil(max_offset / grid_step));
    for (int i = -steps; i <= steps; i++)
        d_offset.push_back(i * grid_step);
    for (double f : d_offset)
        for (int s = 0; s < d_segments; s++)
            d_turn.push_back(cfloat(std::polar(1.0, -2 * pi * f * s * d_segment / d_fft_len)));

    // The first path should come a little behind the window's start, and late paths are weak.
    double sum = 0, squares = 0;
    for (int d = 0; d <= cp_len; d++) {
        const double at = 16.0 * d / cp_len;
        const double w = at < 4 ? 0.5 + 0.125 * at : 1 - 0.5 * (at - 4) / 12;
        d_weight.push_back(static_cast<float>(w));
        sum += w;
        squares += w * w;
    }
    // On noise each |c|^2 is exponential; neighbouring delays and offsets are nearly independent.
    d_scale = squares / sum;
    d_shape = sum / d_scale;
    const double tail = false_alarm / (independent_offsets * d_offset.size());
    d_threshold = static_cast<float>(d_scale * gamma_threshold(d_shape, tail));
}

double PreambleCorrelator::false_alarm(float score) const
{
    return independent_offsets * d_offset.size() * gamma_tail(d_shape, score / d_scale);
}

void PreambleCorrelator::correlate(const cfloat* samples, int n)
{
    const int length = n + static_cast<int>(d_template.size());
    d_re.resize(length);
    d_im.resize(length);
    for (int i = 0; i < length - 1; i++) {
        d_re[i] = samples[i].real();
        d_im[i] = samples[i].imag();
    }
    d_seg_re.assign(static_cast<std::size_t>(n) * d_segments, 0.0f);
    d_seg_im.assign(static_cast<std::size_t>(n) * d_segments, 0.0f);
    for (int s = 0; s < d_segments; s++) {
        float* re = &d_seg_re[static_cast<std::size_t>(s) * n];
        float* im = &d_seg_im[static_cast<std::size_t>(s) * n];
        for (int i = s * d_segment; i < (s + 1) * d_segment; i++) {
            const float a = d_template[i].real(), b = d_template[i].imag();
            const float* x = &d_re[i];
            const float* y = &d_im[i];
            for (int t = 0; t < n; t++) {
                re[t] += a * x[t] + b * y[t];
                im[t] += a * y[t] - b * x[t];
            }
        }
    }
}

void PreambleCorrelator::scores(const cfloat* samples, int n, float* score, std::uint8_t* grid)
{
    const int length = static_cast<int>(d_template.size());
    for (int first = 0; first < n; first += chunk) {
        const int count = std::min(chunk, n - first), wide = count + d_cp;
        correlate(samples + first, wide);
        std::fill(score + first, score + first + count, 0.0f);
        d_sum_re.resize(wide);
        d_sum_im.resize(wide);
        d_power.resize(count);
        for (std::size_t f = 0; f < d_offset.size(); f++) {
            std::fill(d_sum_re.begin(), d_sum_re.end(), 0.0f);
            std::fill(d_sum_im.begin(), d_sum_im.end(), 0.0f);
            for (int s = 0; s < d_segments; s++) {
                const float a = d_turn[f * d_segments + s].real();
                const float b = d_turn[f * d_segments + s].imag();
                const float* re = &d_seg_re[static_cast<std::size_t>(s) * wide];
                const float* im = &d_seg_im[static_cast<std::size_t>(s) * wide];
                for (int t = 0; t < wide; t++) {
                    d_sum_re[t] += a * re[t] - b * im[t];
                    d_sum_im[t] += a * im[t] + b * re[t];
                }
            }
            for (int t = 0; t < wide; t++)
                d_sum_re[t] = d_sum_re[t] * d_sum_re[t] + d_sum_im[t] * d_sum_im[t];
            std::fill(d_power.begin(), d_power.end(), 0.0f);
            for (int d = 0; d <= d_cp; d++) {
                const float w = d_weight[d];
                for (int t = 0; t < count; t++)
                    d_power[t] += w * d_sum_re[t + d];
            }
            for (int t = 0; t < count; t++)
                if (d_power[t] > score[first + t]) {
                    score[first + t] = d_power[t];
                    grid[first + t] = static_cast<std::uint8_t>(f);
                }
        }
        // received energy over the samples that a score sees
        const cfloat* x = samples + first;
        const int window = length + d_cp;
        double energy = 0;
        for (int i = 0; i < window - 1; i++)
            energy += std::norm(x[i]);
        for (int t = 0; t < count; t++) {
            energy += std::norm(x[t + window - 1]);
            const double level = length * energy / window;
            score[first + t] = level > 1e-30 ? static_cast<float>(score[first + t] / level) : 0.0f;
            const double gone = std::norm(x[t]);
            energy = std::max(0.0, energy - gone);
            if (gone > impulse * energy) { // took the digits of all others with it
                energy = 0;
                for (int i = 1; i < window; i++)
                    energy += std::norm(x[t + i]);
            }
        }
    }
}

double PreambleCorrelator::refine(const cfloat* samples, int grid) const
{
    std::vector<std::complex<double>> seg(static_cast<std::size_t>(d_segments) * (d_cp + 1));
    for (int d = 0; d <= d_cp; d++)
        for (int s = 0; s < d_segments; s++)
            for (int i = s * d_segment; i < (s + 1) * d_segment; i++)
                seg[d * d_segments + s] +=
                    std::complex<double>(std::conj(d_template[i]) * samples[i + d]);
    const auto power = [&](double f) {
        double sum = 0;
        for (int d = 0; d <= d_cp; d++) {
            std::complex<double> c = 0;
            for (int s = 0; s < d_segments; s++)
                c += seg[d * d_segments + s] *
                     std::polar(1.0, -2 * pi * f * s * d_segment / d_fft_len);
            sum += d_weight[d] * std::norm(c);
        }
        return sum;
    };
    double centre = d_offset.at(grid);
    for (double step = grid_step / 2; step > 1e-4; step /= 2) { // the maximum is alone within a bin
        const double here = power(centre), below = power(centre - step),
                     above = power(centre + step);
        if (below > here || above > here)
            centre += below > above ? -step : step;
    }
    return centre;
}

} // namespace core
} // namespace diffsem
} // namespace gr
