/*
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#include <gnuradio/diffsem/core/link/noise_estimate.h>

#include <Eigen/Dense>

#include <algorithm>
#include <cmath>
#include <vector>

namespace gr {
namespace diffsem {
namespace core {

std::vector<std::uint8_t>
mask_from_indices(const std::vector<int>& indices, std::size_t n, const std::string& parameter)
{
    std::vector<std::uint8_t> mask(n, 0);
    for (int i : indices) {
        if (i < 0 || static_cast<std::size_t>(i) >= n)
            throw Error(parameter + ": index " + std::to_string(i) + " is outside 0.." +
                        std::to_string(n - 1) + "; count from 0, the first element of the vector");
        if (mask[i])
            throw Error(parameter + ": index " + std::to_string(i) + " is given twice");
        mask[i] = 1;
    }
    return mask;
}

float null_carrier_noise(const cfloat* y, const std::vector<int>& carriers)
{
    double sum = 0;
    for (int k : carriers)
        sum += std::norm(y[k]);
    return static_cast<float>(sum / carriers.size());
}

float repeated_noise(const cfloat* first,
                     const cfloat* second,
                     const std::uint8_t* observed,
                     std::size_t n,
                     cfloat* average)
{
    // min over theta of sum |b - a e^{j theta}|^2 = sum |a|^2 + |b|^2 - 2 |sum conj(a) b|; written
    // with the difference so that little noise beside much signal keeps its digits.
    std::complex<double> cross = 0;
    double difference = 0;
    std::size_t used = 0;
    for (std::size_t i = 0; i < n; i++) {
        average[i] = 0.5f * (first[i] + second[i]);
        if (observed && !observed[i])
            continue;
        cross += std::complex<double>(std::conj(first[i]) * second[i]);
        difference += std::norm(second[i] - first[i]);
        used++;
    }
    // |c| - Re c without cancellation
    const double re = cross.real(), im = cross.imag(), magnitude = std::abs(cross);
    const double gain = re > 0 ? im * im / (magnitude + re) : magnitude - re;
    const double freedom = 2.0 * used - 1.0;
    return static_cast<float>(std::max(0.0, difference - 2 * gain) / freedom);
}

namespace {

constexpr int max_block = 128;
// Signal power that may stay outside the subspace, relative: 50 dB down.
constexpr double leak = 1e-5;

double sinc(double x)
{
    const double z = M_PI * x;
    return std::abs(z) < 1e-9 ? 1.0 : std::sin(z) / z;
}

} // namespace

DelayTailNoise::DelayTailNoise(const std::vector<std::uint8_t>& observed,
                               float window,
                               float margin)
{
    const std::size_t n = observed.size();
    std::vector<int> carriers;
    for (std::size_t k = 0; k < n; k++)
        if (observed[k])
            carriers.push_back(static_cast<int>(k));
    const double width = std::min<double>(window + 2.0 * margin, n);
    const int total = static_cast<int>(carriers.size());
    const int blocks = std::max(1, (total + max_block - 1) / max_block);

    for (int b = 0; b < blocks && total; b++) {
        Block block;
        block.carriers.assign(carriers.begin() + total * static_cast<long>(b) / blocks,
                              carriers.begin() + total * static_cast<long>(b + 1) / blocks);
        const int m = static_cast<int>(block.carriers.size());
        Eigen::MatrixXd r(m, m);
        for (int i = 0; i < m; i++)
            for (int j = 0; j < m; j++)
                r(i, j) = sinc((block.carriers[i] - block.carriers[j]) * width / n);
        Eigen::SelfAdjointEigenSolver<Eigen::MatrixXd> solver(r);
        // ascending eigenvalues, their sum is m
        int outside = 0;
        double left = 0;
        while (outside < m && left + std::max(0.0, solver.eigenvalues()(outside)) <= leak * m)
            left += std::max(0.0, solver.eigenvalues()(outside++));
        block.rank = m - outside;
        block.basis.resize(static_cast<std::size_t>(block.rank) * m);
        for (int v = 0; v < block.rank; v++)
            for (int i = 0; i < m; i++)
                block.basis[v * m + i] = static_cast<float>(solver.eigenvectors()(i, outside + v));
        for (int k : block.carriers)
            block.turn.push_back(
                cfloat(std::polar(1.0, std::remainder(M_PI * k * double(window) / n, 2 * M_PI))));
        d_freedom += outside;
        d_blocks.push_back(std::move(block));
    }
    if (d_freedom < 4)
        throw Error("delay window of " + std::to_string(window) + " samples: with " +
                    std::to_string(total) + " of " + std::to_string(n) +
                    " carriers observed, nothing is left beyond it to measure the noise on; give a "
                    "shorter window, or the noise variance");
}

float DelayTailNoise::operator()(const cfloat* y) const
{
    double outside = 0;
    float re[max_block], im[max_block];
    for (const auto& block : d_blocks) {
        const int m = static_cast<int>(block.carriers.size());
        for (int i = 0; i < m; i++) {
            const cfloat v = y[block.carriers[i]] * block.turn[i];
            re[i] = v.real();
            im[i] = v.imag();
        }
        // The projection is taken off the vector, not its power off the power: at high SNR that
        // difference would be rounding.
        for (int v = 0; v < block.rank; v++) {
            const float* q = &block.basis[static_cast<std::size_t>(v) * m];
            float a = 0, b = 0;
            for (int i = 0; i < m; i++) {
                a += q[i] * re[i];
                b += q[i] * im[i];
            }
            for (int i = 0; i < m; i++) {
                re[i] -= a * q[i];
                im[i] -= b * q[i];
            }
        }
        for (int i = 0; i < m; i++)
            outside += double(re[i]) * re[i] + double(im[i]) * im[i];
    }
    return static_cast<float>(outside / d_freedom);
}

} // namespace core
} // namespace diffsem
} // namespace gr
