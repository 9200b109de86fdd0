/*
 * SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Whether one function is the derivative of another: both come from files, and neither is believed.
 */
#pragma once

#include <gnuradio/diffsem/core/base/tensor.h>

#include <cstddef>
#include <functional>

namespace gr {
namespace diffsem {
namespace core {

//! y = f(x), and out = J(x)^T v by real and imaginary parts, of one item.
struct Differentiable {
    Domain domain = Domain::complex;
    std::size_t inputs = 0, outputs = 0; //!< elements of x and y
    std::function<void(const float* x, float* y)> value;
    std::function<void(const float* x, const float* v, float* out)> vjp;
};

/*!
 * |<v, J u> - <vjp(x, v), u>| / (|v| |J u|), J u by central differences of f, x and u drawn by a fixed seed, v leaning on
 * J u: the median of a few draws, since where f has kinks a difference may step over one. Near 0 for the derivative of f, and
 * about 1 for that of another function. NaN where values are not finite.
 */
double derivative_error(const Differentiable& f);

//! Above it the derivative is another function's: differences in float32 err by less.
constexpr double most_derivative_error = 0.02;

} // namespace core
} // namespace diffsem
} // namespace gr
