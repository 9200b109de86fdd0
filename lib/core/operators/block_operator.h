/*
 * SPDX-License-Identifier: GPL-3.0-or-later
 *
 * A block-diagonal matrix whose numbers may change between runs: what is known of one unknown while another is given.
 */
#pragma once

#include <gnuradio/diffsem/core/operators/operator.h>

#include <Eigen/Core>
#include <complex>
#include <cstddef>
#include <vector>

namespace gr {
namespace diffsem {
namespace core {

//! Belongs to who runs it: proximal() works in memory of its own, and block() changes it.
class BlockOperator : public Operator
{
public:
    //! Its values may be null: zeros.
    explicit BlockOperator(const Blocks& blocks);
    BlockOperator(const BlockOperator&) = delete;
    BlockOperator& operator=(const BlockOperator&) = delete;
    cfloat* block(std::size_t b) { return d_values.data() + b * d.rows * d.cols; }

    const char* type() const override { return "blocks"; }
    std::size_t rows() const override { return d.count * d.rows; }
    std::size_t cols() const override { return d.count * d.cols; }
    double power() const override;
    Blocks blocks() const override { return d; }
    bool level_per_element() const override { return true; }
    std::size_t scratch_size() const override { return 0; }

    void apply(const Tensor& x, Tensor& y) const override;
    void adjoint(const Tensor& y, Tensor& x) const override;
    double residual(const Tensor& y,
                    const Sigma& noise,
                    const Tensor& x,
                    std::size_t item,
                    std::complex<double>* scratch) const override;
    void proximal(const Tensor& y,
                  const Sigma& noise,
                  const Tensor& z,
                  const Sigma& level,
                  Tensor& x,
                  std::complex<double>* scratch) const override;
    void proximal_variance(const Sigma& noise, const Sigma& level, float* variance) const override;

private:
    std::size_t element(std::size_t b, std::size_t j) const
    {
        return b * d.block_step + j * d.element_step;
    }
    std::complex<double> value(std::size_t b, std::size_t i, std::size_t j) const
    {
        return std::complex<double>(d_values[(b * d.rows + i) * d.cols + j]);
    }
    std::complex<double>
    measured(const cfloat* x, std::size_t b, std::size_t i) const; // element i of A x
    bool factor(const Sigma& noise, const Sigma& level, std::size_t item, std::size_t b) const;

    Blocks d;
    std::vector<cfloat> d_values;
    mutable Eigen::MatrixXcd d_gram, d_solution; // rows x rows; rows x 1
};

} // namespace core
} // namespace diffsem
} // namespace gr
