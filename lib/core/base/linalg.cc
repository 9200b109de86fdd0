/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "base/linalg.h"

#include <Eigen/Cholesky>
#include <Eigen/Eigenvalues>

namespace gr {
namespace diffsem {
namespace core {

void hermitian_eigen(const Eigen::MatrixXcd& c, Eigen::VectorXd& values, Eigen::MatrixXcd& vectors)
{
    values.resize(c.rows());
    vectors.resize(c.rows(), c.rows());
    if (c.rows() == 0)
        return;
    const Eigen::SelfAdjointEigenSolver<Eigen::MatrixXcd> eigen(c);
    values = eigen.eigenvalues().reverse();
    vectors = eigen.eigenvectors().rowwise().reverse();
}

bool cholesky(Eigen::Ref<Eigen::MatrixXcd> a)
{
    return Eigen::LLT<Eigen::Ref<Eigen::MatrixXcd>>(a).info() == Eigen::Success;
}

void solve_lower(const Eigen::Ref<const Eigen::MatrixXcd>& l, Eigen::Ref<Eigen::MatrixXcd> b)
{
    l.triangularView<Eigen::Lower>().solveInPlace(b);
}

void solve_lower_adjoint(const Eigen::Ref<const Eigen::MatrixXcd>& l,
                         Eigen::Ref<Eigen::MatrixXcd> b)
{
    l.triangularView<Eigen::Lower>().adjoint().solveInPlace(b);
}

} // namespace core
} // namespace diffsem
} // namespace gr
