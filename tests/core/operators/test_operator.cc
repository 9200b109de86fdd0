/*
 * SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Operators: <A x, y> = <x, A^H y>, the proximal step is the minimiser, and bilinear operators agree
 * with themselves. Walks every registered operator.
 */
#include "check.h"
#include "fixtures.h"

#include <gnuradio/diffsem/core/scheme/scheme.h>
#include <gnuradio/diffsem/core/operators/operator.h>

#include <algorithm>
#include <vector>

using namespace fixtures;

namespace {

std::vector<cfloat> row_major(const Matrix& a)
{
    std::vector<cfloat> v;
    for (Eigen::Index i = 0; i < a.rows(); i++)
        for (Eigen::Index j = 0; j < a.cols(); j++)
            v.push_back(cfloat(a(i, j)));
    return v;
}

struct Case {
    std::string name;
    std::shared_ptr<const Operator> op;
};

std::vector<Case> cases()
{
    Random r(3);
    return {{"identity", make_identity_operator(5)},
            {"mask", make_mask_operator({1, 0, 1, 1, 0})},
            {"matrix", make_matrix_operator(row_major(r.cmatrix(3, 5)), 3, 5)},
            {"matrix", make_matrix_operator(row_major(r.cmatrix(7, 5)), 7, 5)},
            {"matrix", make_matrix_operator(row_major(r.cmatrix(5, 1) * r.cmatrix(1, 5)), 5, 5)}};
}

Vector applied(const Operator& op, const Vector& x)
{
    const Tensor in = to_tensor({x});
    Tensor out(Domain::complex, {std::int64_t(op.rows())}, 1);
    op.apply(in, out);
    return to_vector(out.citem(0), Eigen::Index(op.rows()));
}

void adjoint(const Case& c, Random& r)
{
    const auto n = Eigen::Index(c.op->cols()), m = Eigen::Index(c.op->rows());
    const Vector x = r.cvector(n), y = r.cvector(m);
    Tensor back(Domain::complex, {n}, 1);
    c.op->adjoint(to_tensor({y}), back);
    const cdouble left = y.dot(applied(*c.op, x)), right = to_vector(back.citem(0), n).dot(x);
    CHECK_NEAR(std::abs(left - right), 0.0, 1e-5);
}

// At the minimum of |y - A x|^2 / nv + |x - z|^2 / s2 the gradient vanishes.
void proximal(const Case& c, Random& r, bool per_element)
{
    const auto n = Eigen::Index(c.op->cols()), m = Eigen::Index(c.op->rows());
    const std::size_t batch = 3;
    std::vector<Vector> ys, zs;
    Sigma noise(batch, per_element ? c.op->rows() : 1), level(batch, 1);
    for (std::size_t b = 0; b < batch; b++) {
        ys.push_back(r.cvector(m));
        zs.push_back(r.cvector(n));
        level.item(b)[0] = float(0.2 + r.uniform());
        for (std::size_t i = 0; i < noise.stride(); i++)
            noise.item(b)[i] = float(0.1 + r.uniform());
    }
    Tensor x(Domain::complex, {n}, batch);
    std::vector<cdouble> scratch(c.op->scratch_size());
    c.op->proximal(to_tensor(ys), noise, to_tensor(zs), level, x, scratch.data());
    for (std::size_t b = 0; b < batch; b++) {
        const Vector found = to_vector(x.citem(b), n);
        Vector residual = applied(*c.op, found) - ys[b];
        for (Eigen::Index i = 0; i < m; i++)
            residual(i) /= std::pow(noise.at(b, std::size_t(i)), 2);
        Tensor back(Domain::complex, {n}, 1);
        c.op->adjoint(to_tensor({residual}), back);
        const Vector pull = (found - zs[b]) / std::pow(level.at(b, 0), 2);
        const Vector gradient = to_vector(back.citem(0), n) + pull;
        CHECK_BELOW(gradient.norm(), 1e-3 * (pull.norm() + residual.norm()));
    }
}

void selection_ignores_what_is_not_measured()
{
    const auto op = make_mask_operator({1, 0});
    Tensor y(Domain::complex, {2}, 1), z(Domain::complex, {2}, 1), x(Domain::complex, {2}, 1);
    y.citem(0)[0] = 1.0f;
    y.citem(0)[1] = std::nanf("");
    z.citem(0)[1] = 5.0f;
    op->proximal(y, Sigma(1.0f), z, Sigma(1.0f), x, nullptr);
    CHECK_NEAR(x.citem(0)[0].real(), 0.5, 1e-6);
    CHECK_EQUAL(x.citem(0)[1], cfloat(5.0f));
}

void bilinear()
{
    Random r(5);
    const std::size_t receive = 3, transmit = 2, time = 4;
    const Matrix h = r.cmatrix(3, 2), x = r.cmatrix(2, 4), y = h * x;
    const auto vec = [](const Matrix& m) {
        Vector v(m.size());
        for (Eigen::Index i = 0; i < m.rows(); i++)
            for (Eigen::Index j = 0; j < m.cols(); j++)
                v(i * m.cols() + j) = m(i, j);
        return v;
    };
    const auto mimo = make_mimo_operator(receive, transmit, time);
    CHECK_EQUAL(mimo->unknowns().size(), 2u);
    CHECK_EQUAL(mimo->rows(), 12u);
    const auto of_h = mimo->given("X", to_tensor({vec(x)}));
    const auto of_x = mimo->given("H", to_tensor({vec(h)}));
    CHECK_EQUAL(of_h->cols(), 6u);
    CHECK_EQUAL(of_x->cols(), 8u);
    CHECK_BELOW((applied(*of_h, vec(h)) - vec(y)).norm(), 1e-5);
    CHECK_BELOW((applied(*of_x, vec(x)) - vec(y)).norm(), 1e-5);
    // With little noise, each of the two gives back its unknown.
    const auto solved = [&](const Operator& op, const Vector& truth) {
        Tensor out(Domain::complex, {truth.size()}, 1);
        std::vector<cdouble> scratch(op.scratch_size());
        op.proximal(to_tensor({vec(y)}),
                    Sigma(1e-3f),
                    to_tensor({Vector::Zero(truth.size())}),
                    Sigma(1.0f),
                    out,
                    scratch.data());
        return (to_vector(out.citem(0), truth.size()) - truth).norm();
    };
    CHECK_BELOW(solved(*of_h, vec(h)), 1e-3);
    CHECK_BELOW(solved(*of_x, vec(x)), 1e-3);
    CHECK_THROWS(mimo->given("Z", to_tensor({vec(x)})), {"H and X", "'Z'"});
    CHECK_THROWS(mimo->given("H", to_tensor({vec(x)})), {"must have 6 complex elements, it has 8"});
}

} // namespace

int main()
{
    Random r(1);
    std::vector<std::string> seen;
    for (const auto& c : cases()) {
        CHECK_EQUAL(std::string(c.op->type()), c.name);
        adjoint(c, r);
        proximal(c, r, false);
        proximal(c, r, true);
        seen.push_back(c.name);
    }
    seen.push_back("transform");              // real: test_transform.cc
    for (const auto& name : operator_names()) // a new operator needs a case here
        CHECK(std::find(seen.begin(), seen.end(), name) != seen.end());
    selection_ignores_what_is_not_measured();
    bilinear();
    CHECK_THROWS(make_mask_operator({0, 0}), {"observes no element"});
    CHECK_THROWS(make_matrix_operator({1, 2, 3}, 2, 2), {"3 elements, not 2 x 2"});
    CHECK_THROWS(make_matrix_operator({1, std::nanf("")}, 1, 2), {"not finite"});
    return check::result("operator");
}
