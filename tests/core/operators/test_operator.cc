/*
 * SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Operators: <A x, y> = <x, A^H y>, the proximal step is the minimiser, the residual is what apply() leaves, and
 * bilinear operators agree with themselves. Walks the table: each entry's example is tried.
 */
#include "check.h"
#include "fixtures.h"

#include <gnuradio/diffsem/core/operators/bilinear.h>
#include <gnuradio/diffsem/core/operators/operator.h>

#include <algorithm>
#include <vector>

using namespace fixtures;

namespace {

struct Case {
    std::string name;
    std::shared_ptr<const Operator> op;
};

// What an example names lies in tests/data/operators.
struct ExampleFiles : Files {
    std::string path(const std::string& file, const std::string&) const override
    {
        return std::string(DIFFSEM_TEST_DATA_DIR) + "/operators/" + file;
    }
    const LoadOptions& load_options() const override { return options; }
    LoadOptions options;
};

// The entry's own example, of complex signals; none where the operator takes only others.
std::shared_ptr<const Operator> example(const OperatorEntry& e)
{
    const Json keys = Json::parse(e.example);
    const ExampleFiles files;
    OperatorInput input;
    input.size = e.example_size;
    const SignalShape signal{Domain::complex, {std::int64_t(e.example_size)}};
    try {
        const auto make = e.read(Fields(keys, e.name, key_names(e), &files), signal);
        try {
            auto op = make(input);
            if (op->type() == std::string(e.name))
                return op;
            input.observed.assign(e.example_size, 1); // the other of the two that choose elements
            input.observed[1] = input.observed.back() = 0;
            return make(input);
        } catch (const Error&) { // it wants a matrix
            Random r(4);
            input.matrix = row_major(r.cmatrix(2, Eigen::Index(e.example_size)));
            input.matrix_rows = 2;
            return make(input);
        }
    } catch (const Error&) {
        return nullptr;
    }
}

std::vector<Case> cases()
{
    Random r(3);
    std::vector<Case> all = {
        {"mask", make_mask_operator({1, 0, 1, 1, 0})},
        {"matrix", make_matrix_operator(row_major(r.cmatrix(7, 5)), 7, 5)},
        {"matrix", make_matrix_operator(row_major(r.cmatrix(5, 1) * r.cmatrix(1, 5)), 5, 5)}};
    for (const OperatorEntry* e : operators())
        if (auto op = example(*e))
            all.push_back({e->name, std::move(op)});
    return all;
}

Vector applied(const Operator& op, const Vector& x)
{
    const Tensor in = to_tensor({x});
    Tensor out(Domain::complex, {std::int64_t(op.rows())}, 1);
    op.apply(in, out);
    return to_vector(out.citem(0), Eigen::Index(op.rows()));
}

// Re <v, f(x + h u) - f(x - h u)> / 2h = Re <J^H v, u>, where there is a derivative.
void derivative(const Case& c, const Vector& x, Random& r)
{
    const auto n = Eigen::Index(c.op->cols()), m = Eigen::Index(c.op->rows());
    const Vector u = r.cvector(n), v = r.cvector(m);
    Tensor pulled(Domain::complex, {n}, 1);
    if (!c.op->linear() && c.op->has_proximal()) // a quantiser
        return;
    c.op->vjp(to_tensor({x}), to_tensor({v}), pulled);
    const double h = 1e-2;
    const Vector change = (applied(*c.op, x + h * u) - applied(*c.op, x - h * u)) / (2 * h);
    CHECK_NEAR(v.dot(change).real(),
               to_vector(pulled.citem(0), n).dot(u).real(),
               2e-3 * v.norm() * change.norm());
}

// What a flowgraph may do with any operator.
void names_and_sizes(const Case& c, Random& r)
{
    CHECK(c.op->cols() > 0 && c.op->rows() > 0 && c.op->power() > 0);
    CHECK(!c.op->keeps_elements_apart() || c.op->rows() == c.op->cols());
    const auto n = Eigen::Index(c.op->cols()), m = Eigen::Index(c.op->rows());
    const Vector x = r.cvector(n), y = applied(*c.op, x);
    std::vector<cdouble> scratch(c.op->scratch_size());
    Sigma noise(1, c.op->rows(), 0.1f);
    const Tensor tx = to_tensor({x});
    CHECK_BELOW(c.op->residual(to_tensor({y}), noise, tx, 0, scratch.data()), 1e-9);
    derivative(c, x, r);
    if (!c.op->linear())
        return;
    const Vector other = y + r.cvector(m);
    double expected = 0;
    for (Eigen::Index i = 0; i < m; i++)
        if (!c.op->observed() || c.op->observed()[i])
            expected += i ? std::norm(other(i) - y(i)) : 0.0;
    noise.item(0)[0] = Sigma::unobserved(); // lost: does not count
    CHECK_NEAR(c.op->residual(to_tensor({other}), noise, tx, 0, scratch.data()), expected, 1e-4);
    // Without a measurement the classical answer is nothing; where noise is infinite, y may hold anything.
    Tensor nothing = to_tensor({Vector(Vector::Zero(m))}), answer(Domain::complex, {n}, 1);
    c.op->classical(nothing, answer);
    CHECK_BELOW(to_vector(answer.citem(0), n).norm(), 1e-12);
    c.op->classical(to_tensor({y}), answer);
    CHECK(to_vector(answer.citem(0), n).allFinite() && to_vector(answer.citem(0), n).norm() > 0);
    Vector spoilt = y;
    spoilt(0) = std::nan("");
    Tensor with(Domain::complex, {n}, 1), without(Domain::complex, {n}, 1);
    const Tensor z = to_tensor({Vector(r.cvector(n))});
    c.op->proximal(to_tensor({spoilt}), noise, z, Sigma(0.7f), with, scratch.data());
    noise.item(0)[0] = 1e9f;
    spoilt(0) = 0;
    c.op->proximal(to_tensor({spoilt}), noise, z, Sigma(0.7f), without, scratch.data());
    CHECK_BELOW((to_vector(with.citem(0), n) - to_vector(without.citem(0), n)).norm(), 1e-5);
    // The derivative of a linear operator is itself.
    Tensor back(Domain::complex, {n}, 1), same(Domain::complex, {n}, 1);
    c.op->vjp(tx, to_tensor({y}), back);
    c.op->adjoint(to_tensor({y}), same);
    CHECK_BELOW((to_vector(back.citem(0), n) - to_vector(same.citem(0), n)).norm(), 1e-12);
    // power(): mean |A x|^2 of a measured element for white x
    double sum = 0, measured = 0;
    for (Eigen::Index i = 0; i < m; i++)
        measured += !c.op->observed() || c.op->observed()[i];
    for (Eigen::Index k = 0; k < n; k++)
        sum += applied(*c.op, Vector::Unit(n, k)).squaredNorm();
    CHECK_NEAR(sum / measured, c.op->power(), 1e-5 * c.op->power());
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

// (level^2 A A^H + diag(noise^2)) u = v over the rows that were measured; a lost one, which may hold anything, is left out.
void whitening(const Case& c, Random& r, bool per_element)
{
    if (!c.op->has_whitening())
        return;
    const auto n = Eigen::Index(c.op->cols()), m = Eigen::Index(c.op->rows());
    Sigma noise(1, per_element ? c.op->rows() : 1, 0.3f);
    const Sigma level(0.8f);
    Vector v = r.cvector(m);
    if (per_element) {
        for (std::size_t i = 1; i < noise.stride(); i++)
            noise.item(0)[i] = float(0.1 + r.uniform());
        noise.item(0)[0] = Sigma::unobserved();
        v(0) = std::nan("");
    }
    Tensor u = to_tensor({v}), back(Domain::complex, {n}, 1);
    std::vector<cdouble> scratch(c.op->scratch_size());
    c.op->whiten(noise, level, u, scratch.data());
    const Vector found = to_vector(u.citem(0), m);
    c.op->adjoint(u, back);
    const Vector image = applied(*c.op, to_vector(back.citem(0), n));
    double size = 0;
    for (Eigen::Index i = 0; i < m; i++)
        size = std::max(size, std::abs(found(i)));
    for (Eigen::Index i = 0; i < m; i++) {
        const bool seen = (!c.op->observed() || c.op->observed()[i]) && (!per_element || i > 0);
        const double e = noise.at(0, std::size_t(i));
        if (seen)
            CHECK_BELOW(std::abs(double(level.at(0, 0)) * level.at(0, 0) * image(i) +
                                 e * e * found(i) - v(i)),
                        1e-4 * (1 + size));
        else
            CHECK(found(i) == cdouble(0));
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

// y = a * x written out; at the edges `linear` has no wrapping.
void convolution_is_a_convolution(Random& r)
{
    const std::vector<cdouble> a = {1.0, {0.5, -0.3}, 0.2};
    const Vector x = r.cvector(6);
    for (const bool circular : {true, false}) {
        const Json keys =
            Json::parse(std::string(R"({"taps": [1, [0.5, -0.3], 0.2], "boundary": ")") +
                        (circular ? "circular" : "linear") + "\"}");
        OperatorInput input;
        input.size = 6;
        const auto op =
            find_entry(operators(), "operator", "convolution")
                .read(Fields(keys, "op", {"taps", "boundary"}), {Domain::complex, {6}})(input);
        Vector y = Vector::Zero(circular ? 6 : 8);
        for (Eigen::Index i = 0; i < 6; i++)
            for (Eigen::Index l = 0; l < 3; l++)
                y((i + l) % y.size()) += a[std::size_t(l)] * x(i);
        CHECK_EQUAL(op->rows(), std::size_t(y.size()));
        CHECK_BELOW((applied(*op, x) - y).norm(), 1e-5);
    }
}

// The posterior step of a component against numerical integration over the cell.
void quantiser_step_is_the_posterior_mean(Random& r)
{
    const auto& entry = find_entry(operators(), "operator", "quantiser");
    const Json keys = Json::parse(R"({"bits": 2, "step": 0.7})");
    OperatorInput input;
    input.size = 1;
    const auto op = entry.read(Fields(keys, "op", key_names(entry)), {Domain::real, {1}})(input);
    const double inf = std::numeric_limits<double>::infinity();
    for (int trial = 0; trial < 40; trial++) {
        const double z = 2 * r.normal(), s2 = 0.05 + r.uniform(), nv = 0.01 + 0.3 * r.uniform();
        Tensor at(Domain::real, {1}, 1), y(Domain::real, {1}, 1), x(Domain::real, {1}, 1);
        at.item(0)[0] = float(z + std::sqrt(s2 + nv) * r.normal());
        op->apply(at, y);
        const double middle = y.item(0)[0];
        const double low = middle < -0.75 ? -inf : middle - 0.35,
                     high = middle > 0.75 ? inf : middle + 0.35;
        double mass = 0, mean = 0; // of u = x + n in the cell, and of x given it
        for (double u = z - 12; u < z + 12; u += 1e-3) {
            if (u < low || u >= high)
                continue;
            const double w = std::exp(-0.5 * (u - z) * (u - z) / (s2 + nv));
            mass += w;
            mean += w * (z + s2 / (s2 + nv) * (u - z));
        }
        Tensor zt(Domain::real, {1}, 1);
        zt.item(0)[0] = float(z);
        op->proximal(y, Sigma(float(std::sqrt(nv))), zt, Sigma(float(std::sqrt(s2))), x, nullptr);
        if (mass > 1e-6)
            CHECK_NEAR(x.item(0)[0], mean / mass, 2e-3);
    }
    // A cell far out of sight pulls to its edge, and nothing becomes NaN.
    Tensor far(Domain::real, {1}, 1), y(Domain::real, {1}, 1), x(Domain::real, {1}, 1);
    far.item(0)[0] = -1e4f;
    y.item(0)[0] = 1.05f;
    op->proximal(y, Sigma(0.01f), far, Sigma(0.1f), x, nullptr);
    CHECK(std::isfinite(x.item(0)[0]) && x.item(0)[0] > -1e4f);
    input.measured_gain = true;
    CHECK_THROWS(entry.read(Fields(keys, "op", key_names(entry)), {Domain::real, {1}})(input),
                 {"'unit'"});
    const Json none = Json::parse(R"({"bits": 0})");
    CHECK_THROWS(entry.read(Fields(none, "op", key_names(entry)), {Domain::real, {1}}),
                 {"op.bits", "1 .. 16"});
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
    for (const OperatorEntry* e : operators())
        if (e->needs_spectrum) // of real pictures: test_transform.cc
            seen.push_back(e->name);
    for (const auto& c : cases()) {
        CHECK_EQUAL(std::string(c.op->type()), c.name);
        names_and_sizes(c, r);
        if (c.op->linear()) {
            adjoint(c, r);
            proximal(c, r, false);
            proximal(c, r, true);
            whitening(c, r, false);
            whitening(c, r, true);
        }
        seen.push_back(c.name);
    }
    for (const auto& name : entry_names(operators())) // a new operator needs an example
        CHECK(std::find(seen.begin(), seen.end(), name) != seen.end());
    convolution_is_a_convolution(r);
    quantiser_step_is_the_posterior_mean(r);
    selection_ignores_what_is_not_measured();
    bilinear();
    CHECK_THROWS(make_mask_operator({0, 0}), {"observes no element"});
    CHECK_THROWS(make_matrix_operator({1, 2, 3}, 2, 2), {"3 elements, not 2 x 2"});
    CHECK_THROWS(make_matrix_operator({1, std::nanf("")}, 1, 2), {"not finite"});
    return check::result("operator");
}
