/*
 * SPDX-License-Identifier: GPL-3.0-or-later
 *
 * What the entries of the table share.
 */
#pragma once

#include <gnuradio/diffsem/core/operators/operator.h>

namespace gr {
namespace diffsem {
namespace core {

//! Each throws Error where the flowgraph gives what this operator does not take.
void refuse_observed(const OperatorInput& input, const char* remedy = "leave it out");
void refuse_matrix(const OperatorInput& input, const char* name);

//! For whatever is kept as a matrix: its name, and row-major M x N. Throws Error.
std::shared_ptr<const Operator> make_dense_operator(const char* type,
                                                    std::vector<cfloat> matrix,
                                                    std::size_t rows,
                                                    std::size_t cols);

//! Throws Error where a matrix multiplies by so much or so little that single precision cannot square it.
void check_scale(const Operator& matrix, const char* remedy);

} // namespace core
} // namespace diffsem
} // namespace gr
