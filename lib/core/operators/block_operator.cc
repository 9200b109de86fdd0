/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "operators/block_operator.h"

#include <gnuradio/diffsem/core/base/error.h>

#include "base/linalg.h"

#include <algorithm>
#include <cmath>

namespace gr {
namespace diffsem {
namespace core {

namespace {

constexpr double lost = 1e12; // stands for infinite noise

double square(float v)
{
    return double(v) * v;
}

} // namespace

BlockOperator::BlockOperator(const Blocks& blocks) : d(blocks)
{
    const std::size_t size = d.count * d.rows * d.cols;
    if (!size)
        throw Error("a block-diagonal matrix needs at least one block of one element");
    if (d.values)
        d_values.assign(d.values, d.values + size);
    d_values.resize(size);
    d.values = d_values.data();
    d_gram.resize(Eigen::Index(d.rows), Eigen::Index(d.rows));
    d_solution.resize(Eigen::Index(d.rows), 1);
}

double BlockOperator::power() const
{
    double sum = 0;
    for (const cfloat& v : d_values)
        sum += std::norm(std::complex<double>(v));
    return sum / double(rows());
}

std::complex<double> BlockOperator::measured(const cfloat* x, std::size_t b, std::size_t i) const
{
    std::complex<double> sum = 0;
    for (std::size_t j = 0; j < d.cols; j++)
        sum += value(b, i, j) * std::complex<double>(x[element(b, j)]);
    return sum;
}

void BlockOperator::apply(const Tensor& x, Tensor& y) const
{
    y.set_batch(x.batch());
    for (std::size_t item = 0; item < x.batch(); item++)
        for (std::size_t b = 0; b < d.count; b++)
            for (std::size_t i = 0; i < d.rows; i++)
                y.citem(item)[b * d.rows + i] = cfloat(measured(x.citem(item), b, i));
}

void BlockOperator::adjoint(const Tensor& y, Tensor& x) const
{
    x.set_batch(y.batch());
    for (std::size_t item = 0; item < y.batch(); item++)
        for (std::size_t b = 0; b < d.count; b++)
            for (std::size_t j = 0; j < d.cols; j++) {
                std::complex<double> sum = 0;
                for (std::size_t i = 0; i < d.rows; i++)
                    sum += std::conj(value(b, i, j)) *
                           std::complex<double>(y.citem(item)[b * d.rows + i]);
                x.citem(item)[element(b, j)] = cfloat(sum);
            }
}

double BlockOperator::residual(const Tensor& y,
                               const Sigma& noise,
                               const Tensor& x,
                               std::size_t item,
                               std::complex<double>*) const
{
    double sum = 0;
    for (std::size_t b = 0; b < d.count; b++)
        for (std::size_t i = 0; i < d.rows; i++)
            if (noise.at(item, b * d.rows + i) < Sigma::unobserved())
                sum += std::norm(std::complex<double>(y.citem(item)[b * d.rows + i]) -
                                 measured(x.citem(item), b, i));
    return sum;
}

// A diag(level^2) A^H + diag(noise^2) of one block, factored.
bool BlockOperator::factor(const Sigma& noise,
                           const Sigma& level,
                           std::size_t item,
                           std::size_t b) const
{
    for (std::size_t i = 0; i < d.rows; i++)
        for (std::size_t l = 0; l <= i; l++) {
            std::complex<double> sum = 0;
            for (std::size_t j = 0; j < d.cols; j++)
                sum += square(level.at(item, element(b, j))) * value(b, i, j) *
                       std::conj(value(b, l, j));
            if (i == l)
                sum += std::pow(std::min(double(noise.at(item, b * d.rows + i)), lost), 2);
            d_gram(Eigen::Index(i), Eigen::Index(l)) = sum;
        }
    return cholesky(d_gram);
}

// x = z + S A^H (A S A^H + diag(noise^2))^-1 (y - A z), S = diag(level^2)
void BlockOperator::proximal(const Tensor& y,
                             const Sigma& noise,
                             const Tensor& z,
                             const Sigma& level,
                             Tensor& x,
                             std::complex<double>*) const
{
    x.set_batch(z.batch());
    for (std::size_t item = 0; item < z.batch(); item++)
        for (std::size_t b = 0; b < d.count; b++) {
            for (std::size_t i = 0; i < d.rows; i++) {
                const std::size_t at = b * d.rows + i;
                const bool here = noise.at(item, at) < Sigma::unobserved(); // y is anything else
                d_solution(Eigen::Index(i), 0) =
                    here ? std::complex<double>(y.citem(item)[at]) - measured(z.citem(item), b, i)
                         : 0;
            }
            const bool solvable = factor(noise, level, item, b);
            if (solvable) {
                solve_lower(d_gram, d_solution);
                solve_lower_adjoint(d_gram, d_solution);
            }
            for (std::size_t j = 0; j < d.cols; j++) {
                std::complex<double> sum = 0;
                for (std::size_t i = 0; i < d.rows && solvable; i++)
                    sum += std::conj(value(b, i, j)) * d_solution(Eigen::Index(i), 0);
                const std::size_t at = element(b, j);
                x.citem(item)[at] = z.citem(item)[at] + cfloat(square(level.at(item, at)) * sum);
            }
        }
}

// diag(S - S A^H (A S A^H + diag(noise^2))^-1 A S)
void BlockOperator::proximal_variance(const Sigma& noise, const Sigma& level, float* variance) const
{
    for (std::size_t item = 0; item < level.batch(); item++)
        for (std::size_t b = 0; b < d.count; b++) {
            const bool solvable = factor(noise, level, item, b);
            for (std::size_t j = 0; j < d.cols; j++) {
                const std::size_t at = element(b, j);
                const double s2 = square(level.at(item, at));
                double gone = 0;
                if (solvable) {
                    for (std::size_t i = 0; i < d.rows; i++)
                        d_solution(Eigen::Index(i), 0) = value(b, i, j);
                    solve_lower(d_gram, d_solution);
                    gone = s2 * s2 * d_solution.squaredNorm();
                }
                variance[item * cols() + at] = float(std::max(s2 - gone, 0.0));
            }
        }
}

std::shared_ptr<const Operator> make_block_operator(const Blocks& blocks)
{
    return std::make_shared<BlockOperator>(blocks);
}

} // namespace core
} // namespace diffsem
} // namespace gr
