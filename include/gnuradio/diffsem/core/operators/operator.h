/*
 * SPDX-License-Identifier: GPL-3.0-or-later
 *
 * How the unknown became the measurement: y = A(x) + n. Conditioning (condition.h) composes an operator with a prior;
 * whoever runs one asks it what it can do, and never for its name.
 */
#pragma once

#include <gnuradio/diffsem/core/base/entry.h>
#include <gnuradio/diffsem/core/base/fields.h>
#include <gnuradio/diffsem/core/base/tensor.h>
#include <gnuradio/diffsem/core/base/types.h>

#include <complex>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

namespace gr {
namespace diffsem {
namespace core {

/*!
 * A block-diagonal matrix: `count` blocks one after another, each row-major rows x cols. Row i of block b is element
 * b * rows + i of y, column j element b * block_step + j * element_step of x.
 */
struct Blocks {
    const cfloat* values = nullptr; //!< null: the operator is not kept so
    std::size_t count = 0, rows = 0, cols = 0;
    std::size_t block_step = 0, element_step = 1;
};

//! Immutable, shared between threads. Tensors are batches; x has cols() elements, y rows().
class Operator
{
public:
    virtual ~Operator() = default;
    virtual const char* type() const = 0; //!< registry name
    virtual std::size_t rows() const = 0;
    virtual std::size_t cols() const = 0;
    virtual bool linear() const { return true; }
    //! y_i is x_i and noise, or nothing at all: both are looks at the same element (then M = N).
    virtual bool keeps_elements_apart() const { return false; }
    //! rows() bytes, non-zero where y carries something; null: everywhere.
    virtual const std::uint8_t* observed() const { return nullptr; }
    //! Mean |A x|^2 of a measured element of y, for a white x of unit power.
    virtual double power() const { return 1; }

    //! y = A(x)
    virtual void apply(const Tensor& x, Tensor& y) const = 0;
    //! x = A^H y; of a linear operator.
    virtual void adjoint(const Tensor& y, Tensor& x) const = 0;
    //! out = J(x)^H v, J the derivative of apply() at x; of a linear operator A^H v.
    virtual void vjp(const Tensor& x, const Tensor& v, Tensor& out) const;
    //! What is known of x from y alone, without any prior: the answer where inference fails.
    virtual void classical(const Tensor& y, Tensor& x) const { adjoint(y, x); }
    //! |y - A(x)|^2 of one item over what is measured (noise not infinite); for a quantiser, the squared distance of x
    //! from y's cells.
    virtual double residual(const Tensor& y,
                            const Sigma& noise,
                            const Tensor& x,
                            std::size_t item,
                            std::complex<double>* scratch) const = 0;

    /*!
     * The mean of x given y and a Gaussian around z: for a linear operator argmin |y - A x|^2 / noise^2 +
     * |x - z|^2 / level^2. noise and level are standard deviations. Where noise is infinite, y may hold anything, NaN too,
     * and is not read. x may be z.
     * \param level   one per item, or where level_per_element() one per element (see there)
     * \param scratch at least scratch_size() elements
     */
    virtual void proximal(const Tensor& y,
                          const Sigma& noise,
                          const Tensor& z,
                          const Sigma& level,
                          Tensor& x,
                          std::complex<double>* scratch) const = 0;
    virtual std::size_t scratch_size() const { return 0; }
    //! proximal() takes a level for each element, of x or of x in the operator's own basis (`transform`), and
    //! proximal_variance() says what is left of it.
    virtual bool level_per_element() const { return false; }
    //! Variance of each element (in that basis) after the proximal step. Only where level_per_element().
    virtual void proximal_variance(const Sigma& noise, const Sigma& level, float* variance) const;
    //! Noise 0 is a measurement that holds exactly.
    virtual bool takes_exact() const { return false; }
    //! Row-major M x N, if the operator is kept as a matrix: then closed-form priors are exact under it; else null.
    virtual const cfloat* matrix() const { return nullptr; }
    //! The same as blocks; a dense matrix is one block.
    virtual Blocks blocks() const { return {matrix(), 1, rows(), cols(), cols(), 1}; }
};

std::shared_ptr<const Operator> make_identity_operator(std::size_t n);
std::shared_ptr<const Operator> make_mask_operator(std::vector<std::uint8_t> observed);
//! Dense, through its singular value decomposition, computed here once. Complex domain.
std::shared_ptr<const Operator>
make_matrix_operator(std::vector<cfloat> matrix, std::size_t rows, std::size_t cols);
//! Block-diagonal, its blocks small. Complex domain; takes a level for each element.
std::shared_ptr<const Operator> make_block_operator(const Blocks& blocks);

//! Longest side of a picture.
constexpr std::size_t max_photo_side = 4096;
/*!
 * transform x gains x mask of a picture [3, rows, columns], real: orthonormal colour transform (luma
 * first), orthonormal DCT-II of the whole picture, a gain for every coefficient, 0 for what is not measured.
 * Levels of its proximal step are of the coefficients. Throws Error.
 */
std::shared_ptr<const Operator>
make_transform_operator(std::size_t rows, std::size_t columns, std::vector<float> gains);

// ---- by name ----

//! What a flowgraph gives an operator beside its keys. What an operator does not take, its maker refuses.
struct OperatorInput {
    std::size_t size = 0;               //!< N
    bool measured_gain = false;         //!< signal.gain is `measured`
    std::vector<std::uint8_t> observed; //!< N bytes, non-zero where measured; empty: not given
    std::vector<cfloat> matrix;         //!< row-major M x N; empty: not given
    std::size_t matrix_rows = 0;
};
using OperatorMaker = std::function<std::shared_ptr<const Operator>(const OperatorInput&)>;

//! What a scheme's signal is, as far as an operator must know.
struct SignalShape {
    Domain domain = Domain::complex;
    std::vector<std::int64_t> shape; //!< -1: open, known with each item
};

struct OperatorEntry : Entry {
    //! Checks the keys and keeps what they say. Throws Error.
    OperatorMaker (*read)(const Fields& fields, const SignalShape& signal);
    //! The start `matched` and `level` make sense: y_i is x_i and noise, or see needs_spectrum.
    bool measurement_is_state = false;
    //! Each item brings the variances of x in the operator's basis (context "spectrum"); their linear MMSE estimate is the
    //! matched start, and the levels of a plan that measures them.
    bool needs_spectrum = false;
    //! Keys and input of a small instance that the contract tests try, N = example_size.
    const char* example = "{}";
    std::size_t example_size = 6;
};

const std::vector<const OperatorEntry*>& operators();

} // namespace core
} // namespace diffsem
} // namespace gr
