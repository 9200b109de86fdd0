/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "base/linalg.h"

#include <Eigen/Cholesky>
#include <Eigen/Eigenvalues>
#include <cmath>
#include <complex>

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

void factor_semidefinite(Eigen::Ref<Eigen::MatrixXcd> a,
                         Eigen::Ref<Eigen::VectorXcd> b,
                         double least)
{
    const Eigen::Index n = a.rows();
    const double limit = n ? least * a.diagonal().real().maxCoeff() : 0;
    for (Eigen::Index j = 0; j < n; j++) {
        double pivot = a(j, j).real();
        std::complex<double> c = b(j);
        for (Eigen::Index k = 0; k < j; k++) {
            pivot -= std::norm(a(j, k));
            c -= a(j, k) * b(k);
        }
        const double root = pivot > limit ? std::sqrt(pivot) : 0;
        a(j, j) = root;
        b(j) = root > 0 ? c / root : 0;
        for (Eigen::Index i = j + 1; i < n; i++) {
            std::complex<double> v = a(i, j);
            for (Eigen::Index k = 0; k < j; k++)
                v -= a(i, k) * std::conj(a(j, k));
            a(i, j) = root > 0 ? v / root : 0;
        }
    }
}

} // namespace core
} // namespace diffsem
} // namespace gr
