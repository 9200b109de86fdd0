/*
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#include <gnuradio/diffsem/core/link/delay_basis.h>

#include "base/vector_clones.h"

#include <Eigen/Dense>

#include <algorithm>
#include <cmath>

namespace gr {
namespace diffsem {
namespace core {

namespace {

constexpr std::size_t widest = 64; // carriers of a band
constexpr double least_share = 1e-5;
constexpr double pi = 3.14159265358979323846;

double sinc(double x)
{
    return x == 0 ? 1 : std::sin(x) / x;
}

// y = M^T x, complex x, of `rows` (a multiple of 4) rows of `width` elements.
DIFFSEM_VECTOR_CLONES
void transposed_product(const float* __restrict m,
                        std::size_t rows,
                        std::size_t width,
                        const float* __restrict x_re,
                        const float* __restrict x_im,
                        float* __restrict y_re,
                        float* __restrict y_im)
{
    for (std::size_t i = 0; i < width; i++)
        y_re[i] = y_im[i] = 0;
    for (std::size_t k = 0; k < rows; k += 4, m += 4 * width) {
        const float re[] = {x_re[k], x_re[k + 1], x_re[k + 2], x_re[k + 3]};
        const float im[] = {x_im[k], x_im[k + 1], x_im[k + 2], x_im[k + 3]};
        for (std::size_t i = 0; i < width; i++) {
            const float a = m[i], b = m[width + i], c = m[2 * width + i], d = m[3 * width + i];
            y_re[i] += a * re[0] + b * re[1] + c * re[2] + d * re[3];
            y_im[i] += a * im[0] + b * im[1] + c * im[2] + d * im[3];
        }
    }
}

// Real and imaginary parts of x conj(turn) apart, and zeros behind them up to `all`.
DIFFSEM_VECTOR_CLONES
void turn_back(const cfloat* __restrict x,
               const cfloat* __restrict turn,
               std::size_t n,
               std::size_t all,
               float* __restrict re,
               float* __restrict im)
{
    for (std::size_t k = 0; k < n; k++) {
        const float xr = x[k].real(), xi = x[k].imag(), tr = turn[k].real(), ti = turn[k].imag();
        re[k] = xr * tr + xi * ti;
        im[k] = xi * tr - xr * ti;
    }
    for (std::size_t k = n; k < all; k++)
        re[k] = im[k] = 0;
}

DIFFSEM_VECTOR_CLONES
void turn_forth(const float* __restrict re,
                const float* __restrict im,
                const cfloat* __restrict turn,
                std::size_t n,
                cfloat* __restrict x)
{
    for (std::size_t k = 0; k < n; k++) {
        const float tr = turn[k].real(), ti = turn[k].imag();
        x[k] = cfloat(re[k] * tr - im[k] * ti, re[k] * ti + im[k] * tr);
    }
}

std::size_t padded(std::size_t n)
{
    return (n + 7) / 8 * 8;
}

// Row by row, with zeros up to sizes that fill vectors.
std::vector<float> rows_of(const Eigen::MatrixXd& m)
{
    const std::size_t width = padded(m.cols());
    std::vector<float> rows(padded(m.rows()) * width);
    for (Eigen::Index i = 0; i < m.rows(); i++)
        for (Eigen::Index j = 0; j < m.cols(); j++)
            rows[i * width + j] = static_cast<float>(m(i, j));
    return rows;
}

// A response or its coefficients, real and imaginary parts apart.
struct Parts {
    float re[widest], im[widest];
};

} // namespace

// turn x basis: a real matrix, each carrier turned by the middle of the window.
struct DelayBasis::Band {
    std::size_t carrier, coefficient; // where it begins
    std::size_t carriers, size;
    std::vector<cfloat> turn;
    std::vector<float> basis, transposed;
};

DelayBasis::DelayBasis(const std::vector<int>& carriers, int fft_len, double first, double last)
    : d_carriers(carriers.size())
{
    const std::size_t n = carriers.size(), bands = (n + widest - 1) / widest;
    for (std::size_t i = 0; i < bands; i++) {
        const std::size_t begin = i * n / bands, size = (i + 1) * n / bands - begin;
        // exp(-j pi (k - l) (first + last) / N) sinc(pi (k - l) (last - first) / N): a real matrix between two turns.
        Eigen::MatrixXd covariance(size, size);
        std::vector<cfloat> turn(size);
        for (std::size_t k = 0; k < size; k++) {
            const int carrier = carriers[begin + k];
            turn[k] = cfloat(std::polar(1.0, -pi * carrier / fft_len * (first + last)));
            for (std::size_t l = 0; l < size; l++)
                covariance(k, l) =
                    sinc(pi * (carrier - carriers[begin + l]) / fft_len * (last - first));
        }
        const Eigen::SelfAdjointEigenSolver<Eigen::MatrixXd> solver(covariance);
        const auto& share = solver.eigenvalues(); // ascending
        const double least = least_share * share[size - 1];
        std::size_t left = 0;
        while (share[left] <= least)
            left++;
        auto band = std::make_unique<Band>();
        band->carrier = begin;
        band->coefficient = d_size;
        const Eigen::MatrixXd basis = solver.eigenvectors().rightCols(size - left);
        band->carriers = size;
        band->size = size - left;
        band->turn = std::move(turn);
        band->basis = rows_of(basis);
        band->transposed = rows_of(basis.transpose());
        d_size += size - left;
        d_shares.conservativeResize(d_size);
        d_shares.tail(size - left) = share.tail(size - left).cast<float>();
        d_bands.push_back(std::move(band));
    }
}

DelayBasis::~DelayBasis() = default;

void DelayBasis::analyse(const cfloat* response, cfloat* coefficients) const
{
    for (const auto& band : d_bands) {
        Parts x, y;
        turn_back(response + band->carrier,
                  band->turn.data(),
                  band->carriers,
                  padded(band->carriers),
                  x.re,
                  x.im);
        transposed_product(
            band->basis.data(), padded(band->carriers), padded(band->size), x.re, x.im, y.re, y.im);
        for (std::size_t i = 0; i < band->size; i++)
            coefficients[band->coefficient + i] = cfloat(y.re[i], y.im[i]);
    }
}

void DelayBasis::synthesise(const cfloat* coefficients, cfloat* response) const
{
    for (const auto& band : d_bands) {
        Parts x, y;
        for (std::size_t i = 0; i < band->size; i++) {
            x.re[i] = coefficients[band->coefficient + i].real();
            x.im[i] = coefficients[band->coefficient + i].imag();
        }
        for (std::size_t i = band->size; i < padded(band->size); i++)
            x.re[i] = x.im[i] = 0;
        transposed_product(band->transposed.data(),
                           padded(band->size),
                           padded(band->carriers),
                           x.re,
                           x.im,
                           y.re,
                           y.im);
        turn_forth(y.re, y.im, band->turn.data(), band->carriers, response + band->carrier);
    }
}

} // namespace core
} // namespace diffsem
} // namespace gr
