/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "priors/mixture_space.h"

#include "base/linalg.h"

#include <algorithm>
#include <cmath>
#include <stdexcept>
#include <vector>

namespace gr {
namespace diffsem {
namespace core {

namespace {

using Eigen::Index;
using Eigen::MatrixXcd;
using Eigen::MatrixXd;
using Eigen::VectorXcd;
using Eigen::VectorXd;

constexpr double least_share = 1e-10; // eigenvalues below this share of the largest are zero
constexpr std::size_t kept_patterns = 4;

} // namespace

MixtureDenoiser::MixtureDenoiser(MixtureModel model) : d_model(std::move(model))
{
    d_traits.domain = d_model.domain;
    d_traits.shape = d_model.shape;
    d_traits.tensor_sigma = true;
    d_traits.variance = true;
    d_traits.sigma_min = 1e-6f;
    d_traits.sigma_max = 1e6f;
    const double k = double(d_model.components), n = double(d_model.n), m = double(d_model.rows);
    d_traits.macs = (d_model.domain == Domain::complex ? 4.0 : 1.0) *
                    (d_model.diagonal ? k * n : k * (m * m + n * m));
}

std::unique_ptr<Workspace> MixtureDenoiser::make_workspace(std::size_t max_batch) const
{
    auto s = std::make_unique<Space>();
    const Index n = d_model.n, m = d_model.rows, k = d_model.components;
    s->rows.resize(std::size_t(m));
    s->index.reserve(std::size_t(m));
    s->mean.resize(n, k);
    s->variance.resize(n, k);
    s->evidence.resize(k);
    s->weight.setOnes(k);
    s->pulled.resize(m, k);
    s->score.resize(m, k);
    s->direction.resize(n);
    s->along.resize(k);
    s->row_noise.resize(m);
    s->row.resize(m);
    if (d_model.diagonal)
        return s;
    s->patterns.reserve(kept_patterns);
    s->noise.resize(Index(max_batch));
    s->z.resize(m, Index(max_batch));
    s->u.resize(m * k, Index(max_batch));
    s->scaled.resize(m);
    s->solution.resize(m);
    s->shift.resize(n);
    s->gram.resize(m, m);
    s->cross.resize(m, n);
    return s;
}

const MixtureDenoiser::Pattern& MixtureDenoiser::pattern(Space& space) const
{
    for (const auto& p : space.patterns)
        if (p.rows == space.rows)
            return p;

    Pattern p;
    p.rows = space.rows;
    for (std::size_t i = 0; i < p.rows.size(); i++)
        if (p.rows[i])
            p.index.push_back(int(i));
    const Index n = d_model.n, k = d_model.components, m = Index(p.index.size());
    p.project.resize(m * k, m);
    p.offset.resize(m * k);
    p.eigenvalues.resize(m * k);
    p.rest.resize(n, k);
    Index first = 0;
    for (Index c = 0; c < k; c++) {
        p.first.push_back(first);
        VectorXd rest = d_model.variances.col(c);
        Index q = 0, kept = 0;
        MatrixXcd basis(m, m), gain(n, m);
        if (m > 0) {
            VectorXd l;
            hermitian_eigen(d_model.bcb[c](p.index, p.index), l, basis);
            l = l.cwiseMax(0.0);
            q = (l.array() > least_share * l(0)).count();
            kept = k > 1 ? m : q; // the evidence needs all directions, the mean only these
            p.project.middleRows(first, kept) = basis.leftCols(kept).adjoint().cast<cfloat>();
            p.offset.segment(first, kept) =
                (basis.leftCols(kept).adjoint() * d_model.row_means(p.index, c)).cast<cfloat>();
            p.eigenvalues.segment(first, kept) = l.head(kept);
            gain = d_model.cb[c](Eigen::all, p.index) * basis;
            const MatrixXd power =
                gain.leftCols(q).cwiseAbs2() * l.head(q).cwiseInverse().asDiagonal();
            p.power.push_back(power.cast<float>());
            rest -= power.rowwise().sum();
        } else {
            p.power.emplace_back(n, 0);
        }
        p.gain.push_back(gain.leftCols(q).cast<cfloat>());
        p.rest.col(c) = rest.cwiseMax(0.0).cast<float>();
        first += kept;
    }
    p.project.conservativeResize(first, m);
    p.offset.conservativeResize(first);
    p.eigenvalues.conservativeResize(first);

    if (space.patterns.size() < kept_patterns) {
        space.patterns.push_back(std::move(p));
        return space.patterns.back();
    }
    Pattern& old = space.patterns[space.next_pattern++ % kept_patterns];
    old = std::move(p);
    return old;
}

void MixtureDenoiser::denoise(const Tensor& x,
                              const Sigma& sigma,
                              Workspace& workspace,
                              Estimate& out) const
{
    Space& space = static_cast<Space&>(workspace);
    out.set_batch(x.batch());
    out.has_variance = true;
    if (d_model.diagonal) {
        for (std::size_t b = 0; b < x.batch(); b++) {
            for (Index i = 0; i < d_model.n; i++)
                space.mean(i, 0) =
                    d_model.domain == Domain::complex ? x.citem(b)[i] : cfloat(x.item(b)[i], 0.0f);
            diagonal(b, sigma, space, out);
        }
        return;
    }

    const Pattern* collected = nullptr;
    const std::size_t m = std::size_t(d_model.rows);
    const auto flush = [&](std::size_t end) {
        if (space.run)
            equal_noise(end - space.run, end, *collected, space, out);
        space.run = 0;
    };
    for (std::size_t b = 0; b < x.batch(); b++) {
        double level = 0;
        bool equal = true;
        for (std::size_t i = 0; i < m; i++) {
            const double s = sigma.at(b, i);
            space.rows[i] = std::isfinite(s);
            if (space.rows[i] && level > 0 && s != level)
                equal = false;
            else if (space.rows[i])
                level = std::max(s, 1e-30);
        }
        if (!equal || d_model.changing) {
            flush(b);
            load_rows(x, b, nullptr, space);
            any_noise(b, sigma, space, out);
            continue;
        }
        if (space.run && collected->rows != space.rows)
            flush(b);
        if (!space.run)
            collected = &pattern(space);
        load_rows(x, b, collected, space);
        space.noise(Index(space.run++)) = std::max(level * level, least_noise);
        if (Index(space.run) == space.z.cols())
            flush(b + 1);
    }
    flush(x.batch());
}

// Rows of one item: into the collected batch (pattern given), or alone in double precision.
void MixtureDenoiser::load_rows(const Tensor& x,
                                std::size_t item,
                                const Pattern* pattern,
                                Space& space) const
{
    const bool is_complex = d_model.domain == Domain::complex;
    const auto value = [&](Index i) {
        return is_complex ? x.citem(item)[i] : cfloat(x.item(item)[i], 0.0f);
    };
    if (pattern) {
        for (std::size_t i = 0; i < pattern->index.size(); i++)
            space.z(Index(i), Index(space.run)) = value(pattern->index[i]);
        return;
    }
    space.index.clear();
    for (Index i = 0; i < d_model.rows; i++)
        if (space.rows[std::size_t(i)]) {
            space.row(Index(space.index.size())) = std::complex<double>(value(i));
            space.index.push_back(int(i));
        }
}

void MixtureDenoiser::equal_noise(std::size_t begin,
                                  std::size_t end,
                                  const Pattern& p,
                                  Space& space,
                                  Estimate& out) const
{
    const Index count = Index(end - begin), m = Index(p.index.size()), n = d_model.n;
    const Index total = p.project.rows();
    // Component by component: what Eigen copies for products this small it keeps on the stack.
    const Index each = total / d_model.components;
    for (Index c = 0; c < d_model.components && total > 0; c++)
        space.u.block(p.first[c], 0, each, count).noalias() =
            p.project.middleRows(p.first[c], each) * space.z.topLeftCorner(m, count);
    space.u.topLeftCorner(total, count).colwise() -= p.offset;
    for (Index b = 0; b < count; b++) {
        const double s2 = space.noise(b);
        space.evidence = d_model.log_weights;
        for (Index c = 0; c < d_model.components && d_model.components > 1; c++) {
            // One logarithm for every eight factors; each lies between 1e-12 and 1e12.
            double exponent = 0, product = 1, log_det = 0;
            for (Index j = p.first[c]; j < p.first[c] + m; j++) {
                const double v = p.eigenvalues(j) + s2;
                exponent += std::norm(space.u(j, b)) / v;
                product *= v;
                if ((j & 7) == 7) {
                    log_det += std::log(product);
                    product = 1;
                }
            }
            const double half = d_model.domain == Domain::complex ? 1.0 : 0.5;
            space.evidence(c) -= half * (log_det + std::log(product) + exponent);
        }
        const double top = space.evidence.maxCoeff();
        space.weight = (space.evidence.array() - top).exp();
        space.weight /= space.weight.sum();
        for (Index c = 0; c < d_model.components; c++) {
            if (space.weight(c) < least_weight)
                continue;
            const Index q = p.gain[c].cols();
            const auto l = p.eigenvalues.segment(p.first[c], q).array();
            space.mean.col(c) = d_model.means.col(c).cast<cfloat>();
            space.variance.col(c) = p.rest.col(c);
            if (q == 0)
                continue;
            space.scaled.head(q) =
                space.u.col(b).segment(p.first[c], q).array() * (l + s2).inverse().cast<cfloat>();
            space.mean.col(c).noalias() += p.gain[c] * space.scaled.head(q);
            if (out.want_variance) {
                space.scaled.head(q).real() = (s2 / (l + s2)).cast<float>();
                space.variance.col(c).noalias() += p.power[c] * space.scaled.head(q).real();
            }
        }
        combine(begin + std::size_t(b), space, out);
    }
    (void)n;
}

// Levels of any pattern: with M = B C B^H + diag(sigma^2) = L L^H over the measured rows,
// mean = m + C B^H M^-1 (z - B m), variance = C - |L^-1 B C|^2, log N(z) = -log det M - |L^-1 (z - B m)|^2.
void MixtureDenoiser::any_noise(std::size_t item,
                                const Sigma& sigma,
                                Space& space,
                                Estimate& out) const
{
    const Index m = Index(space.index.size());
    for (Index i = 0; i < m; i++)
        space.row_noise(i) =
            std::max(std::pow(double(sigma.at(item, std::size_t(space.index[std::size_t(i)]))), 2),
                     least_noise);
    for (Index c = 0; c < d_model.components; c++) {
        auto gram = space.gram.topLeftCorner(m, m);
        auto cross = space.cross.topRows(m);
        auto solution = space.solution.head(m);
        for (Index j = 0; j < m; j++) {
            const int row = space.index[std::size_t(j)];
            for (Index i = 0; i < m; i++)
                gram(i, j) = d_model.bcb[c](space.index[std::size_t(i)], row);
            gram(j, j) += space.row_noise(j);
            cross.row(j) = d_model.cb[c].col(row).adjoint();
            solution(j) = space.row(j) - d_model.row_means(row, c);
        }
        if (!cholesky(gram))
            throw std::runtime_error("covariance of the measurement is not positive definite");
        solve_lower(gram, solution);
        const double log_det = 2.0 * gram.diagonal().real().array().log().sum();
        const double half = d_model.domain == Domain::complex ? 1.0 : 0.5;
        space.evidence(c) = d_model.log_weights(c) - half * (log_det + solution.squaredNorm());
        solve_lower(gram, cross);
        space.shift.noalias() = cross.adjoint() * solution;
        space.mean.col(c) = (d_model.means.col(c) + space.shift).cast<cfloat>();
        for (Index i = 0; i < d_model.n && out.want_variance; i++)
            space.variance(i, c) =
                float(std::max(d_model.variances(i, c) - cross.col(i).squaredNorm(), 0.0));
    }
    space.weight = (space.evidence.array() - space.evidence.maxCoeff()).exp();
    space.weight /= space.weight.sum();
    combine(item, space, out);
}

// Diagonal covariances: elements are independent given the component. The input is in mean.col(0).
void MixtureDenoiser::diagonal(std::size_t item,
                               const Sigma& sigma,
                               Space& space,
                               Estimate& out) const
{
    const double half = d_model.domain == Domain::complex ? 1.0 : 0.5;
    for (Index c = d_model.components - 1; c >= 0; c--) {
        space.evidence(c) = d_model.log_weights(c);
        for (Index i = 0; i < d_model.n; i++) {
            const double s = sigma.at(item, std::size_t(i)), v = d_model.variances(i, c);
            const std::complex<double> m = d_model.means(i, c);
            if (!std::isfinite(s)) {
                space.mean(i, c) = cfloat(m);
                space.variance(i, c) = float(v);
                continue;
            }
            const double s2 = std::max(s * s, least_noise);
            const std::complex<double> r = std::complex<double>(space.mean(i, 0)) - m;
            if (d_model.components > 1)
                space.evidence(c) -= half * (std::log(v + s2) + std::norm(r) / (v + s2));
            space.mean(i, c) = cfloat(m + v / (v + s2) * r);
            space.variance(i, c) = float(v * s2 / (v + s2));
        }
    }
    space.weight = (space.evidence.array() - space.evidence.maxCoeff()).exp();
    space.weight /= space.weight.sum();
    combine(item, space, out);
}

// Law of total expectation and of total variance over the components.
void MixtureDenoiser::combine(std::size_t item, Space& space, Estimate& out) const
{
    float* mean = out.mean.item(item);
    float* variance = out.variance.data() + item * out.mean.elements();
    for (Index i = 0; i < d_model.n; i++) {
        std::complex<double> m = 0;
        for (Index c = 0; c < d_model.components; c++)
            if (space.weight(c) >= least_weight)
                m += space.weight(c) * std::complex<double>(space.mean(i, c));
        if (d_model.domain == Domain::complex) {
            mean[2 * i] = float(m.real());
            mean[2 * i + 1] = float(m.imag());
        } else {
            mean[i] = float(m.real());
        }
        if (!out.want_variance)
            continue;
        double v = 0;
        for (Index c = 0; c < d_model.components; c++)
            if (space.weight(c) >= least_weight)
                v += space.weight(c) *
                     (space.variance(i, c) + std::norm(std::complex<double>(space.mean(i, c)) - m));
        variance[i] = float(v);
    }
}

MixtureModel MixtureModel::append(const Operator& a) const
{
    const Index m = Index(a.rows());
    MixtureModel out = *this;
    out.rows = n + m;
    out.diagonal = false;
    out.row_means.resize(n + m, components);
    out.row_means.topRows(n) = means;
    for (Index c = 0; c < components; c++) {
        const MatrixXcd full =
            diagonal ? MatrixXcd(variances.col(c).cast<std::complex<double>>().asDiagonal())
                     : cb[std::size_t(c)];
        MatrixXcd both(n, n + m);
        both.leftCols(n) = full;
        MatrixXcd gram(n + m, n + m);
        gram.topLeftCorner(n, n) = full;
        if (diagonal) {
            out.cb.push_back(std::move(both));
            out.bcb.push_back(std::move(gram));
        } else {
            out.cb[std::size_t(c)] = std::move(both);
            out.bcb[std::size_t(c)] = std::move(gram);
        }
    }
    out.replace(a);
    return out;
}

// With A below: C B^H = [C, C A^H], B C B^H = [C, C A^H; A C, A C A^H].
void MixtureModel::replace(const Operator& a)
{
    using RowMajor = Eigen::Matrix<cfloat, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;
    const Blocks blocks = a.blocks();
    const Index m = rows - n;
    if (blocks.count == 1 && blocks.element_step == 1) {
        const MatrixXcd dense =
            Eigen::Map<const RowMajor>(blocks.values, m, n).cast<std::complex<double>>();
        row_means.bottomRows(m).noalias() = dense * means;
        for (Index c = 0; c < components; c++) {
            auto &seen = cb[std::size_t(c)], &gram = bcb[std::size_t(c)];
            seen.rightCols(m).noalias() = seen.leftCols(n) * dense.adjoint();
            gram.bottomRightCorner(m, m).noalias() = dense * seen.rightCols(m);
        }
    } else {
        replace_blocks(blocks);
    }
    for (Index c = 0; c < components; c++) {
        const auto& seen = cb[std::size_t(c)];
        bcb[std::size_t(c)].topRightCorner(n, m) = seen.rightCols(m);
        bcb[std::size_t(c)].bottomLeftCorner(m, n) = seen.rightCols(m).adjoint();
    }
}

// Row by row of A, of which only its block's columns are not 0.
void MixtureModel::replace_blocks(const Blocks& blocks)
{
    const Index m = rows - n;
    const auto element = [&](Index i, std::size_t j) {
        return std::complex<double>(blocks.values[std::size_t(i) * blocks.cols + j]);
    };
    const auto column = [&](Index i, std::size_t j) {
        return Index(std::size_t(i) / blocks.rows * blocks.block_step + j * blocks.element_step);
    };
    for (Index c = 0; c < components; c++) {
        auto &seen = cb[std::size_t(c)], &gram = bcb[std::size_t(c)];
        for (Index i = 0; i < m; i++) {
            seen.col(n + i).setZero();
            row_means(n + i, c) = 0;
            for (std::size_t j = 0; j < blocks.cols; j++) {
                seen.col(n + i) += std::conj(element(i, j)) * seen.col(column(i, j));
                row_means(n + i, c) += element(i, j) * means(column(i, j), c);
            }
        }
        for (Index l = 0; l < m; l++)
            for (Index i = 0; i < m; i++) {
                std::complex<double> sum = 0;
                for (std::size_t j = 0; j < blocks.cols; j++)
                    sum += element(i, j) * seen(column(i, j), n + l);
                gram(n + i, n + l) = sum;
            }
    }
}

} // namespace core
} // namespace diffsem
} // namespace gr
