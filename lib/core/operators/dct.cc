/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "operators/dct.h"

#include <Eigen/Core>
#include <unsupported/Eigen/FFT>

#include <algorithm>
#include <cmath>
#include <vector>

namespace gr {
namespace diffsem {
namespace core {

namespace {

using complexf = std::complex<float>;

constexpr double pi = 3.14159265358979323846;

// Rows: luma (1, 1, 1) / sqrt 3, then two axes that hold no luma.
const float colours[3][3] = {{0.57735027f, 0.57735027f, 0.57735027f},
                             {0.70710678f, 0.0f, -0.70710678f},
                             {0.40824829f, -0.81649658f, 0.40824829f}};

} // namespace

struct Dct::Scratch {
    Eigen::FFT<float> fft; // keeps its plans
    std::vector<complexf> time, frequency;
};

Dct::Dct(std::size_t n) : d_n(n), d_turn(n)
{
    for (std::size_t k = 0; k < n; k++)
        d_turn[k] = complexf(std::polar(1.0, -pi * double(k) / (2.0 * double(n))));
}
Dct::~Dct() = default;

std::shared_ptr<Dct::Scratch> Dct::make_scratch() const
{
    auto s = std::make_shared<Scratch>();
    s->time.resize(d_n);
    s->frequency.resize(d_n);
    return s;
}

// Makhoul, "A fast cosine transform in one and two dimensions", IEEE Trans. ASSP 1980: even samples, then the odd
// ones backwards; the FFT's k-th value turned by k / 4n has the DCT as its real part. With a second row as the
// imaginary part, F = A + j B, and A(k) = (F(k) + conj F(-k)) / 2.
void Dct::forward(float* a, float* b, Scratch& s) const
{
    if (d_n == 1) // itself; Eigen's FFT does not take it
        return;
    const std::size_t n = d_n;
    for (std::size_t i = 0; 2 * i < n; i++)
        s.time[i] = complexf(a[2 * i], b[2 * i]);
    for (std::size_t i = 0; 2 * i + 1 < n; i++)
        s.time[n - 1 - i] = complexf(a[2 * i + 1], b[2 * i + 1]);
    s.fft.fwd(s.frequency.data(), s.time.data(), Eigen::Index(n));
    const float scale = std::sqrt(2.0f / float(n));
    for (std::size_t k = 0; k < n; k++) {
        const complexf f = s.frequency[k], g = std::conj(s.frequency[k ? n - k : 0]);
        const complexf of_a = 0.5f * (f + g), of_b = complexf(0.0f, -0.5f) * (f - g);
        const float gain = k ? scale : scale * std::sqrt(0.5f);
        a[k] = gain * (d_turn[k].real() * of_a.real() - d_turn[k].imag() * of_a.imag());
        b[k] = gain * (d_turn[k].real() * of_b.real() - d_turn[k].imag() * of_b.imag());
    }
}

void Dct::inverse(float* a, float* b, Scratch& s) const
{
    if (d_n == 1) // itself; Eigen's FFT does not take it
        return;
    const std::size_t n = d_n;
    const float scale = std::sqrt(float(n) / 2.0f);
    const auto spectrum = [&](const float* y, std::size_t k) {
        const float here = y[k] * (k ? scale : scale * std::sqrt(2.0f));
        const float mirrored = k ? y[n - k] * scale : 0.0f;
        return std::conj(d_turn[k]) * complexf(here, -mirrored);
    };
    for (std::size_t k = 0; k < n; k++)
        s.frequency[k] = spectrum(a, k) + complexf(0.0f, 1.0f) * spectrum(b, k);
    s.fft.inv(s.time.data(), s.frequency.data(), Eigen::Index(n));
    for (std::size_t i = 0; 2 * i < n; i++) {
        a[2 * i] = s.time[i].real();
        b[2 * i] = s.time[i].imag();
    }
    for (std::size_t i = 0; 2 * i + 1 < n; i++) {
        a[2 * i + 1] = s.time[n - 1 - i].real();
        b[2 * i + 1] = s.time[n - 1 - i].imag();
    }
}

PhotoTransform::PhotoTransform(std::size_t rows, std::size_t columns)
    : d_rows(rows),
      d_columns(columns)
{
}
PhotoTransform::~PhotoTransform() = default;

void PhotoTransform::transform(float* planes, bool back) const
{
    const std::size_t h = rows(), w = columns();
    const auto along_row = d_columns.make_scratch(), along_column = d_rows.make_scratch();
    std::vector<float> spare(std::max(h, w));
    const auto pass = [&](const Dct& dct, float* a, float* b, Dct::Scratch& s) {
        back ? dct.inverse(a, b, s) : dct.forward(a, b, s);
    };
    for (std::size_t r = 0; r < 3 * h; r += 2)
        pass(d_columns,
             planes + r * w,
             r + 1 < 3 * h ? planes + (r + 1) * w : spare.data(),
             *along_row);
    // Columns eight at a time, so that whole cache lines are read.
    constexpr std::size_t group = 8;
    std::vector<float> columns(group * h);
    for (std::size_t c = 0; c < 3; c++)
        for (std::size_t j = 0; j < w; j += group) {
            float* plane = planes + c * h * w + j;
            const std::size_t width = std::min(group, w - j);
            for (std::size_t i = 0; i < h; i++)
                for (std::size_t k = 0; k < width; k++)
                    columns[k * h + i] = plane[i * w + k];
            for (std::size_t k = 0; k < width; k += 2)
                pass(d_rows,
                     columns.data() + k * h,
                     k + 1 < width ? columns.data() + (k + 1) * h : spare.data(),
                     *along_column);
            for (std::size_t i = 0; i < h; i++)
                for (std::size_t k = 0; k < width; k++)
                    plane[i * w + k] = columns[k * h + i];
        }
}

void PhotoTransform::forward(const float* image, float* out) const
{
    const std::size_t n = rows() * columns();
    for (std::size_t i = 0; i < n; i++) {
        const float red = image[i], green = image[n + i], blue = image[2 * n + i];
        for (std::size_t c = 0; c < 3; c++)
            out[c * n + i] = colours[c][0] * red + colours[c][1] * green + colours[c][2] * blue;
    }
    transform(out, false);
}

void PhotoTransform::inverse(const float* coefficients, float* out) const
{
    const std::size_t n = rows() * columns();
    if (out != coefficients)
        std::copy(coefficients, coefficients + 3 * n, out);
    transform(out, true);
    for (std::size_t i = 0; i < n; i++) {
        const float luma = out[i], first = out[n + i], second = out[2 * n + i];
        for (std::size_t c = 0; c < 3; c++)
            out[c * n + i] = colours[0][c] * luma + colours[1][c] * first + colours[2][c] * second;
    }
}

} // namespace core
} // namespace diffsem
} // namespace gr
