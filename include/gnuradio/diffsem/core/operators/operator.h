/*
 * SPDX-License-Identifier: GPL-3.0-or-later
 *
 * How the unknown became the measurement: y = A x + n. An operator offers apply, adjoint and a
 * proximal step in closed form; conditioning (condition.h) composes it with a prior.
 */
#pragma once

#include <gnuradio/diffsem/core/base/tensor.h>

#include <complex>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace gr {
namespace diffsem {
namespace core {

//! Immutable, shared between threads. Tensors are batches; x has cols() elements, y rows().
class Operator
{
public:
    virtual ~Operator() = default;
    virtual const char* type() const = 0; //!< registry name
    virtual std::size_t rows() const = 0;
    virtual std::size_t cols() const = 0;
    //! cols() bytes, non-zero where measured, if A only selects elements (then M = N); else null.
    virtual const std::uint8_t* observed() const { return nullptr; }
    //! Row-major M x N, if A is dense; else null.
    virtual const cfloat* matrix() const { return nullptr; }

    //! y = A x
    virtual void apply(const Tensor& x, Tensor& y) const = 0;
    //! x = A^H y
    virtual void adjoint(const Tensor& y, Tensor& x) const = 0;
    /*!
     * x = argmin |y - A x|^2 / noise^2 + |x - z|^2 / level^2, noise and level being standard
     * deviations; level is one per item for a dense A.
     * \param scratch at least scratch_size() elements
     */
    virtual void proximal(const Tensor& y,
                          const Sigma& noise,
                          const Tensor& z,
                          const Sigma& level,
                          Tensor& x,
                          std::complex<double>* scratch) const = 0;
    virtual std::size_t scratch_size() const { return 0; }
};

std::shared_ptr<const Operator> make_identity_operator(std::size_t n);
std::shared_ptr<const Operator> make_mask_operator(std::vector<std::uint8_t> observed);
//! Dense, through its singular value decomposition, computed here once. Complex domain.
std::shared_ptr<const Operator>
make_matrix_operator(std::vector<cfloat> matrix, std::size_t rows, std::size_t cols);

//! Longest side of a picture.
constexpr std::size_t max_photo_side = 4096;
/*!
 * transform x gains x mask of a picture [3, rows, columns], real: orthonormal colour transform (luma
 * first), orthonormal DCT-II of the whole picture, a gain for every coefficient, 0 for what is not measured.
 * The levels of its proximal step may be given for each coefficient. Throws Error.
 */
std::shared_ptr<const Operator>
make_transform_operator(std::size_t rows, std::size_t columns, std::vector<float> gains);

/*!
 * y = B(a, b) + n, linear in each of two unknowns: given one of them it is a linear operator of the
 * other, so an inference of both alternates between two ordinary ones.
 */
class BilinearOperator
{
public:
    virtual ~BilinearOperator() = default;
    virtual std::vector<std::string> unknowns() const = 0;
    virtual std::size_t rows() const = 0;
    //! Operator of the other unknown. Throws Error for an unknown name or a value of wrong size.
    virtual std::shared_ptr<const Operator> given(const std::string& name,
                                                  const Tensor& value) const = 0;
};

//! Y = H X of a MIMO link; H is receive x transmit, X transmit x time, all row major.
std::unique_ptr<BilinearOperator>
make_mimo_operator(std::size_t receive, std::size_t transmit, std::size_t time);

} // namespace core
} // namespace diffsem
} // namespace gr
