/*
 * SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Measurements of two unknowns at once.
 */
#pragma once

#include <gnuradio/diffsem/core/operators/operator.h>

#include <cstddef>
#include <memory>
#include <string>
#include <vector>

namespace gr {
namespace diffsem {
namespace core {

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
