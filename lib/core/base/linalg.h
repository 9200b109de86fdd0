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

} // namespace core
} // namespace diffsem
} // namespace gr
