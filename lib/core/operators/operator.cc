/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <gnuradio/diffsem/core/operators/operator.h>

#include <gnuradio/diffsem/core/base/error.h>
#include <gnuradio/diffsem/core/base/types.h>

#include "base/linalg.h"

#include <Eigen/Core>
#include <algorithm>
#include <vector>

namespace gr {
namespace diffsem {
namespace core {

namespace {

// Identity and mask: A selects elements, so everything is a loop over them, of either domain.
class Selection : public Operator
{
public:
    Selection(const char* type, std::vector<std::uint8_t> observed)
        : d_type(type),
          d_observed(std::move(observed))
    {
    }
    const char* type() const override { return d_type; }
    std::size_t rows() const override { return d_observed.size(); }
    std::size_t cols() const override { return d_observed.size(); }
    const std::uint8_t* observed() const override { return d_observed.data(); }

    void apply(const Tensor& x, Tensor& y) const override
    {
        y.set_batch(x.batch());
        const std::size_t parts = x.width() / x.elements();
        for (std::size_t b = 0; b < x.batch(); b++)
            for (std::size_t i = 0; i < x.width(); i++)
                y.item(b)[i] = d_observed[i / parts] ? x.item(b)[i] : 0.0f;
    }
    void adjoint(const Tensor& y, Tensor& x) const override { apply(y, x); }

    // Precision-weighted mean of y and z.
    void proximal(const Tensor& y,
                  const Sigma& noise,
                  const Tensor& z,
                  const Sigma& level,
                  Tensor& x,
                  std::complex<double>*) const override
    {
        x.set_batch(z.batch());
        const std::size_t parts = z.width() / z.elements();
        for (std::size_t b = 0; b < z.batch(); b++)
            for (std::size_t i = 0; i < z.elements(); i++) {
                const double nv = std::pow(noise.at(b, i), 2), s2 = std::pow(level.at(b, i), 2);
                const float w = d_observed[i] ? static_cast<float>(s2 / (s2 + nv)) : 0.0f;
                for (std::size_t j = parts * i; j < parts * (i + 1); j++)
                    x.item(b)[j] =
                        z.item(b)[j] + (w > 0 ? w * (y.item(b)[j] - z.item(b)[j]) : 0.0f);
            }
    }

private:
    const char* d_type;
    std::vector<std::uint8_t> d_observed;
};

using Matrix = Eigen::Matrix<cfloat, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;
using VectorMap = Eigen::Map<Eigen::VectorXcf>;
using ConstVectorMap = Eigen::Map<const Eigen::VectorXcf>;

constexpr double least_singular = 1e-7; // smaller shares of the largest are zero, in float

class DenseOperator : public Operator
{
public:
    DenseOperator(std::vector<cfloat> matrix, std::size_t rows, std::size_t cols)
        : d_a(Eigen::Map<const Matrix>(matrix.data(), Eigen::Index(rows), Eigen::Index(cols)))
    {
        // A = U S V^H through the smaller of A A^H = U S^2 U^H and A^H A = V S^2 V^H.
        const Eigen::MatrixXcd a = d_a.cast<std::complex<double>>();
        d_gram = a * a.adjoint();
        const bool wide = rows <= cols;
        Eigen::VectorXd squares;
        Eigen::MatrixXcd vectors;
        hermitian_eigen(wide ? d_gram : Eigen::MatrixXcd(a.adjoint() * a), squares, vectors);
        const Eigen::VectorXd all = squares.cwiseMax(0.0).cwiseSqrt();
        const Eigen::Index rank = (all.array() > least_singular * all(0)).count();
        const auto s = all.head(rank);
        const auto known = vectors.leftCols(rank);
        const Eigen::MatrixXcd other =
            (wide ? Eigen::MatrixXcd(a.adjoint() * known) : Eigen::MatrixXcd(a * known)) *
            s.cwiseInverse().asDiagonal();
        d_uh = (wide ? Eigen::MatrixXcd(known) : other).adjoint().cast<cfloat>();
        d_v = (wide ? other : Eigen::MatrixXcd(known)).cast<cfloat>();
        d_s = s.cast<float>();
    }
    const char* type() const override { return "matrix"; }
    std::size_t rows() const override { return std::size_t(d_a.rows()); }
    std::size_t cols() const override { return std::size_t(d_a.cols()); }
    const cfloat* matrix() const override { return d_a.data(); }
    std::size_t scratch_size() const override { return rows() * rows() + 2 * rows() + cols(); }

    void apply(const Tensor& x, Tensor& y) const override
    {
        y.set_batch(x.batch());
        for (std::size_t b = 0; b < x.batch(); b++)
            VectorMap(y.citem(b), d_a.rows()).noalias() =
                d_a * ConstVectorMap(x.citem(b), d_a.cols());
    }
    void adjoint(const Tensor& y, Tensor& x) const override
    {
        x.set_batch(y.batch());
        for (std::size_t b = 0; b < y.batch(); b++)
            VectorMap(x.citem(b), d_a.cols()).noalias() =
                d_a.adjoint() * ConstVectorMap(y.citem(b), d_a.rows());
    }

    void proximal(const Tensor& y,
                  const Sigma& noise,
                  const Tensor& z,
                  const Sigma& level,
                  Tensor& x,
                  std::complex<double>* scratch) const override
    {
        x.set_batch(z.batch());
        const Eigen::Index m = d_a.rows(), n = d_a.cols();
        Eigen::Map<Eigen::MatrixXcd> gram(scratch, m, m), solution(scratch + m * m, m, 1);
        // Single precision in the rest of the scratch.
        auto* singles = reinterpret_cast<cfloat*>(scratch + m * m + m);
        VectorMap residual(singles, m), small(singles + m, d_s.size());
        for (std::size_t b = 0; b < z.batch(); b++) {
            VectorMap xb(x.citem(b), n);
            const float s2 = level.at(b, 0) * level.at(b, 0);
            residual = ConstVectorMap(y.citem(b), m);
            residual.noalias() -= d_a * ConstVectorMap(z.citem(b), n);
            xb = ConstVectorMap(z.citem(b), n);
            if (!noise.per_element()) {
                // x = z + V diag(s2 S / (s2 S^2 + nv)) U^H (y - A z)
                const float nv = noise.at(b, 0) * noise.at(b, 0);
                small.noalias() = d_uh * residual;
                small.array() *=
                    (s2 * d_s.array() / (s2 * d_s.array().square() + nv)).cast<cfloat>();
                xb.noalias() += d_v * small;
            } else {
                // x = z + s2 A^H (s2 A A^H + diag(nv))^-1 (y - A z)
                gram = double(s2) * d_gram;
                for (Eigen::Index i = 0; i < m; i++)
                    gram(i, i) += std::pow(double(noise.at(b, std::size_t(i))), 2);
                solution = residual.cast<std::complex<double>>();
                cholesky(gram);
                solve_lower(gram, solution);
                solve_lower_adjoint(gram, solution);
                residual = s2 * solution.cast<cfloat>();
                xb.noalias() += d_a.adjoint() * residual;
            }
        }
    }

private:
    Matrix d_a;
    Eigen::MatrixXcd d_gram;    // A A^H
    Eigen::MatrixXcf d_uh, d_v; // of the singular values that are not zero
    Eigen::VectorXf d_s;
};

class MimoOperator : public BilinearOperator
{
public:
    MimoOperator(std::size_t receive, std::size_t transmit, std::size_t time)
        : d_receive(receive),
          d_transmit(transmit),
          d_time(time)
    {
    }
    std::vector<std::string> unknowns() const override { return {"H", "X"}; }
    std::size_t rows() const override { return d_receive * d_time; }

    // y_(r,t) = sum_k H_(r,k) X_(k,t), written as a matrix for whichever factor is unknown.
    std::shared_ptr<const Operator> given(const std::string& name,
                                          const Tensor& value) const override
    {
        if (name != "H" && name != "X")
            throw Error("the bilinear operator Y = H X has the unknowns H and X, not '" + name +
                        "'");
        const bool know_h = name == "H";
        const std::size_t size = d_transmit * (know_h ? d_receive : d_time);
        if (value.elements() != size || value.batch() < 1 || value.domain() != Domain::complex)
            throw Error("the value of " + name + " must have " + std::to_string(size) +
                        " complex elements, it has " + std::to_string(value.elements()));
        const std::size_t cols = d_transmit * (know_h ? d_time : d_receive);
        std::vector<cfloat> a(rows() * cols);
        for (std::size_t r = 0; r < d_receive; r++)
            for (std::size_t t = 0; t < d_time; t++)
                for (std::size_t k = 0; k < d_transmit; k++) {
                    const std::size_t col = know_h ? k * d_time + t : r * d_transmit + k;
                    a[(r * d_time + t) * cols + col] =
                        value.citem(0)[know_h ? r * d_transmit + k : k * d_time + t];
                }
        return make_matrix_operator(std::move(a), rows(), cols);
    }

private:
    std::size_t d_receive, d_transmit, d_time;
};

} // namespace

std::shared_ptr<const Operator> make_identity_operator(std::size_t n)
{
    return std::make_shared<Selection>("identity", std::vector<std::uint8_t>(n, 1));
}

std::shared_ptr<const Operator> make_mask_operator(std::vector<std::uint8_t> observed)
{
    if (std::none_of(observed.begin(), observed.end(), [](std::uint8_t o) { return o != 0; }))
        throw Error("the mask observes no element: name at least one");
    return std::make_shared<Selection>("mask", std::move(observed));
}

std::shared_ptr<const Operator>
make_matrix_operator(std::vector<cfloat> matrix, std::size_t rows, std::size_t cols)
{
    if (!rows || !cols || matrix.size() != rows * cols)
        throw Error("the measurement matrix has " + std::to_string(matrix.size()) +
                    " elements, not " + std::to_string(rows) + " x " + std::to_string(cols));
    for (const auto& a : matrix)
        if (!std::isfinite(a.real()) || !std::isfinite(a.imag()))
            throw Error("the measurement matrix has elements that are not finite");
    return std::make_shared<DenseOperator>(std::move(matrix), rows, cols);
}

std::unique_ptr<BilinearOperator>
make_mimo_operator(std::size_t receive, std::size_t transmit, std::size_t time)
{
    return std::make_unique<MimoOperator>(receive, transmit, time);
}

} // namespace core
} // namespace diffsem
} // namespace gr
