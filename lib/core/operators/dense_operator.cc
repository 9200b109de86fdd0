/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <gnuradio/diffsem/core/base/error.h>
#include <gnuradio/diffsem/core/operators/operator.h>

#include "base/linalg.h"
#include "operators/operator_table.h"

#include <Eigen/Core>
#include <algorithm>
#include <cmath>
#include <vector>

namespace gr {
namespace diffsem {
namespace core {

namespace {

using Matrix = Eigen::Matrix<cfloat, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;
using VectorMap = Eigen::Map<Eigen::VectorXcf>;
using ConstVectorMap = Eigen::Map<const Eigen::VectorXcf>;

constexpr double least_singular = 1e-7; // smaller shares of the largest are zero, in float
constexpr double lost = 1e12;           // stands for infinite noise
constexpr double most_scale =
    1e6; // of a row, above or below 1: beyond it squares leave single precision

class DenseOperator : public Operator
{
public:
    DenseOperator(const char* type, std::vector<cfloat> matrix, std::size_t rows, std::size_t cols)
        : d_type(type),
          d_a(Eigen::Map<const Matrix>(matrix.data(), Eigen::Index(rows), Eigen::Index(cols)))
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
    const char* type() const override { return d_type; }
    std::size_t rows() const override { return std::size_t(d_a.rows()); }
    std::size_t cols() const override { return std::size_t(d_a.cols()); }
    const cfloat* matrix() const override { return d_a.data(); }
    std::size_t scratch_size() const override { return rows() * rows() + 2 * rows() + cols(); }
    double power() const override { return double(d_a.squaredNorm()) / double(rows()); }

    double residual(const Tensor& y,
                    const Sigma& noise,
                    const Tensor& x,
                    std::size_t item,
                    std::complex<double>*) const override
    {
        double sum = 0;
        const ConstVectorMap xb(x.citem(item), d_a.cols());
        for (Eigen::Index i = 0; i < d_a.rows(); i++)
            if (noise.at(item, std::size_t(i)) < Sigma::unobserved())
                sum += std::norm(std::complex<double>(
                    y.citem(item)[i] - d_a.row(i).transpose().cwiseProduct(xb).sum()));
        return sum;
    }

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
                solve(noise, b, s2, residual, gram, solution);
                residual = s2 * solution.cast<cfloat>();
                xb.noalias() += d_a.adjoint() * residual;
            }
        }
    }

    bool has_whitening() const override { return true; }
    void whiten(const Sigma& noise,
                const Sigma& level,
                Tensor& v,
                std::complex<double>* scratch) const override
    {
        const Eigen::Index m = d_a.rows();
        Eigen::Map<Eigen::MatrixXcd> gram(scratch, m, m), solution(scratch + m * m, m, 1);
        VectorMap small(reinterpret_cast<cfloat*>(scratch + m * m + m), d_s.size());
        for (std::size_t b = 0; b < v.batch(); b++) {
            VectorMap vb(v.citem(b), m);
            const float s2 = level.at(b, 0) * level.at(b, 0);
            if (!noise.per_element()) {
                // U diag(1 / (s2 S^2 + nv)) U^H v, and v / nv of what U does not span
                const float nv = noise.at(b, 0) * noise.at(b, 0);
                small.noalias() = d_uh * vb;
                if (d_s.size() < m) {
                    vb.noalias() -= d_uh.adjoint() * small;
                    vb /= nv;
                } else {
                    vb.setZero();
                }
                small.array() /= (s2 * d_s.array().square() + nv).cast<cfloat>();
                vb.noalias() += d_uh.adjoint() * small;
            } else {
                solve(noise, b, s2, vb, gram, solution);
                vb = solution.cast<cfloat>();
                for (Eigen::Index i = 0; i < m; i++)
                    if (!(noise.at(b, std::size_t(i)) < Sigma::unobserved()))
                        vb(i) = 0;
            }
        }
    }

private:
    // (s2 A A^H + diag(noise^2))^-1 residual, in double precision. What the lost rows of `residual` held is not used.
    template <typename Gram, typename Solution>
    void solve(const Sigma& noise,
               std::size_t b,
               float s2,
               VectorMap residual,
               Gram& gram,
               Solution& solution) const
    {
        const Eigen::Index m = d_a.rows();
        gram = double(s2) * d_gram;
        for (Eigen::Index i = 0; i < m; i++)
            if (!(noise.at(b, std::size_t(i)) < Sigma::unobserved()))
                residual(i) = 0; // y may hold anything there
        for (Eigen::Index i = 0; i < m; i++)
            gram(i, i) += std::pow(std::min(double(noise.at(b, std::size_t(i))), lost), 2);
        solution = residual.template cast<std::complex<double>>();
        cholesky(gram);
        solve_lower(gram, solution);
        solve_lower_adjoint(gram, solution);
    }

    const char* d_type;
    Matrix d_a;
    Eigen::MatrixXcd d_gram;    // A A^H
    Eigen::MatrixXcf d_uh, d_v; // of the singular values that are not zero
    Eigen::VectorXf d_s;
};

std::shared_ptr<const Operator>
checked(const std::vector<cfloat>& a, std::size_t rows, std::size_t n)
{
    auto op = make_matrix_operator(a, rows, n);
    check_scale(*op, "scale the matrix, and y with it");
    return op;
}

OperatorMaker read(const Fields& fields, const SignalShape& signal)
{
    if (signal.domain != Domain::complex)
        throw Error(fields.where() + ": the operator 'matrix' needs a complex signal and a prior");
    std::shared_ptr<const Operator>
        own; // immutable: its decomposition is that of all who measure by it
    if (fields.has("matrix")) {
        const std::size_t n = element_count(signal.shape);
        const NpyArray a = fields.array("matrix", {-1, std::int64_t(n)});
        std::vector<cfloat> values;
        for (std::size_t i = 0; i < a.count(); i++)
            values.push_back(cfloat(a.value(i)));
        try {
            own = checked(values, std::size_t(a.shape[0]), n);
        } catch (const Error& e) {
            fields.fail("matrix", e.what());
        }
    }
    return [own](const OperatorInput& input) {
        refuse_observed(input, "give the rows of the matrix instead");
        if (!input.matrix.empty())
            return checked(input.matrix, input.matrix_rows, input.size);
        if (!own)
            throw Error("the operator 'matrix' needs a measurement matrix of M x " +
                        std::to_string(input.size));
        return own;
    };
}

OperatorEntry entry()
{
    OperatorEntry e{
        {"matrix",
         "y = A x + n with a dense A [M, N], through its singular value decomposition. "
         "Complex signals.",
         {file_key("matrix", "file of A; else the block's parameter `matrix` gives it")}},
        read};
    e.example_size = 3;
    return e;
}

} // namespace

void check_scale(const Operator& matrix, const char* remedy)
{
    const double scale = std::sqrt(matrix.power());
    if (!(scale > 0))
        throw Error("the measurement matrix is zero");
    if (!(scale <= most_scale && scale >= 1 / most_scale))
        throw Error("the measurement matrix multiplies by about " + Json(scale).dump() +
                    ", and single precision takes 1e-6 to 1e6: " + remedy);
}

const OperatorEntry& matrix_operator()
{
    static const OperatorEntry e = entry();
    return e;
}

std::shared_ptr<const Operator> make_dense_operator(const char* type,
                                                    std::vector<cfloat> matrix,
                                                    std::size_t rows,
                                                    std::size_t cols)
{
    if (!rows || !cols || matrix.size() != rows * cols)
        throw Error("the measurement matrix has " + std::to_string(matrix.size()) +
                    " elements, not " + std::to_string(rows) + " x " + std::to_string(cols));
    for (const auto& a : matrix)
        if (!std::isfinite(a.real()) || !std::isfinite(a.imag()))
            throw Error("the measurement matrix has elements that are not finite");
    return std::make_shared<DenseOperator>(type, std::move(matrix), rows, cols);
}

std::shared_ptr<const Operator>
make_matrix_operator(std::vector<cfloat> matrix, std::size_t rows, std::size_t cols)
{
    return make_dense_operator("matrix", std::move(matrix), rows, cols);
}

} // namespace core
} // namespace diffsem
} // namespace gr
