/*
 * SPDX-License-Identifier: GPL-3.0-or-later
 *
 * The derivative of a mixture's denoiser. With M_k = B C_k B^H + diag(sigma^2), s_k = M_k^-1 (z - B m_k), the component's
 * mean mu_k = m_k + C_k B^H s_k and its probability w_k:
 *     D = sum w_k mu_k,   d w_k = f w_k Re <sum_j w_j s_j - s_k, dz>,   d mu_k = C_k B^H M_k^-1 dz
 *     J^H v = sum_k w_k (M_k^-1 B C_k v + f (sum_j w_j s_j - s_k) Re <mu_k, v>)
 * f = 2 for circular noise, whose density has the exponent -|.|^2, and 1 for real noise, of -|.|^2 / 2.
 */
#include "base/linalg.h"
#include "priors/mixture_space.h"

#include <algorithm>
#include <cmath>
#include <stdexcept>

namespace gr {
namespace diffsem {
namespace core {

using Eigen::Index;

// Evidence, s_k, M_k^-1 B C_k v and Re <mu_k, v> of every component, over the measured rows of one item.
void MixtureDenoiser::differentiate(std::size_t item, const Sigma& sigma, Space& space) const
{
    const Index m = Index(space.index.size());
    const double half = d_model.domain == Domain::complex ? 1.0 : 0.5;
    for (Index i = 0; i < m; i++)
        space.row_noise(i) =
            std::max(std::pow(double(sigma.at(item, std::size_t(space.index[std::size_t(i)]))), 2),
                     least_noise);
    for (Index c = 0; c < d_model.components; c++) {
        auto score = space.score.col(c).head(m);
        auto pulled = space.pulled.col(c).head(m);
        double log_det = 0, exponent = 0;
        space.along(c) = 0;
        for (Index i = 0; i < m; i++)
            score(i) = space.row(i) - d_model.row_means(space.index[std::size_t(i)], c);
        if (d_model.diagonal) {
            for (Index i = 0; i < m; i++) {
                const Index at = space.index[std::size_t(i)];
                const double variance = d_model.variances(at, c),
                             total = variance + space.row_noise(i);
                const std::complex<double> apart = score(i);
                score(i) = apart / total;
                exponent += std::norm(apart) / total;
                log_det += std::log(total);
                space.along(c) += variance * (std::conj(score(i)) * space.direction(at)).real();
                pulled(i) = variance / total * space.direction(at);
            }
        } else {
            auto gram = space.gram.topLeftCorner(m, m);
            for (Index j = 0; j < m; j++) {
                const int row = space.index[std::size_t(j)];
                for (Index i = 0; i < m; i++)
                    gram(i, j) = d_model.bcb[std::size_t(c)](space.index[std::size_t(i)], row);
                gram(j, j) += space.row_noise(j);
                pulled(j) = d_model.cb[std::size_t(c)].col(row).dot(space.direction);
            }
            if (!cholesky(gram))
                throw std::runtime_error("covariance of the measurement is not positive definite");
            solve_lower(gram, score);
            exponent = score.squaredNorm();
            log_det = 2.0 * gram.diagonal().real().array().log().sum();
            solve_lower_adjoint(gram, score);
            space.along(c) = score.dot(pulled).real(); // Re <C B^H s, v>
            solve_lower(gram, pulled);
            solve_lower_adjoint(gram, pulled);
        }
        space.along(c) += d_model.means.col(c).dot(space.direction).real();
        space.evidence(c) = d_model.log_weights(c) - half * (log_det + exponent);
    }
    space.weight = (space.evidence.array() - space.evidence.maxCoeff()).exp();
    space.weight /= space.weight.sum();
}

void MixtureDenoiser::vjp(const Tensor& x,
                          const Sigma& sigma,
                          const Tensor& v,
                          Workspace& workspace,
                          Tensor& out) const
{
    Space& space = static_cast<Space&>(workspace);
    const bool complex_domain = d_model.domain == Domain::complex;
    const double factor = complex_domain ? 2.0 : 1.0;
    out.set_batch(x.batch());
    for (std::size_t b = 0; b < x.batch(); b++) {
        for (Index i = 0; i < d_model.rows; i++)
            space.rows[std::size_t(i)] = std::isfinite(sigma.at(b, std::size_t(i)));
        load_rows(x, b, nullptr, space);
        for (Index i = 0; i < d_model.n; i++)
            space.direction(i) = complex_domain ? std::complex<double>(v.citem(b)[i])
                                                : std::complex<double>(double(v.item(b)[i]));
        differentiate(b, sigma, space);
        const double mean_along = space.weight.dot(space.along);
        std::fill(out.item(b), out.item(b) + out.width(), 0.0f);
        for (std::size_t i = 0; i < space.index.size(); i++) {
            const Index row = Index(i);
            std::complex<double> sum = 0;
            // sum_k w_k (sum_j w_j s_j - s_k) = 0: the mean of Re <mu_k, v> may be taken off.
            for (Index c = 0; c < d_model.components; c++)
                sum += space.weight(c) * (space.pulled(row, c) - factor * space.score(row, c) *
                                                                     (space.along(c) - mean_along));
            const std::size_t at = std::size_t(space.index[i]);
            if (complex_domain)
                out.citem(b)[at] = cfloat(sum);
            else
                out.item(b)[at] = float(sum.real());
        }
    }
}

} // namespace core
} // namespace diffsem
} // namespace gr
