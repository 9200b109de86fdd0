/*
 * SPDX-License-Identifier: GPL-3.0-or-later
 *
 * The few factorisations that are needed, compiled once: Eigen's templates for them cost minutes of
 * compiler time under the sanitizers, in every file that uses them.
 */
#pragma once

#include <Eigen/Core>

namespace gr {
namespace diffsem {
namespace core {

//! C = vectors diag(values) vectors^H for a Hermitian C; values descending.
void hermitian_eigen(const Eigen::MatrixXcd& c, Eigen::VectorXd& values, Eigen::MatrixXcd& vectors);

//! A = L L^H: L replaces the lower triangle of A, without allocation. False: A is not positive definite.
bool cholesky(Eigen::Ref<Eigen::MatrixXcd> a);

//! B <- L^-1 B and B <- L^-H B, with L the lower triangle as cholesky() left it.
void solve_lower(const Eigen::Ref<const Eigen::MatrixXcd>& l, Eigen::Ref<Eigen::MatrixXcd> b);
void solve_lower_adjoint(const Eigen::Ref<const Eigen::MatrixXcd>& l,
                         Eigen::Ref<Eigen::MatrixXcd> b);

/*!
 * A = L L^H of a positive semidefinite A, whose lower triangle L replaces (the upper one is left as it was), and b <- c with
 * L c = b, for a b that A reaches. Directions below `least` of the largest diagonal element count as 0: their columns of L
 * and their c are 0.
 */
void factor_semidefinite(Eigen::Ref<Eigen::MatrixXcd> a,
                         Eigen::Ref<Eigen::VectorXcd> b,
                         double least);

} // namespace core
} // namespace diffsem
} // namespace gr
