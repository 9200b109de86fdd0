/*
 * SPDX-License-Identifier: GPL-3.0-or-later
 *
 * What the estimator answers: units, gain, masks, noise maps, bypass; and what it refuses.
 */
#include "check.h"
#include "infer/estimator_toy.h"

#include <limits>
#include <vector>

using namespace fixtures;

namespace {

void exact_answers(const Toy& t)
{
    // Everything measured, equal noise: the posterior mean and variance.
    auto e = t.make(t.unit + "/gmm");
    const auto y = measurements(t.model, 5, 0.5, 1);
    auto r = run(*e, y, {0.25f});
    for (std::size_t b = 0; b < 5; b++) {
        const Posterior p = posterior(t.model, to_vector(&y[6 * b], 6), 0.25);
        CHECK_BELOW((to_vector(&r.mean[6 * b], 6) - p.mean).norm(), 1e-5);
        double residual = 0;
        for (int i = 0; i < 6; i++) {
            CHECK_NEAR(r.variance[6 * b + std::size_t(i)], p.covariance(i, i).real(), 1e-5);
            residual += std::norm(cdouble(y[6 * b + std::size_t(i)]) - p.mean(i)) / 6 / 0.25;
        }
        CHECK_EQUAL(r.info[b].steps, 1);
        CHECK(!r.info[b].bypassed);
        CHECK_EQUAL(std::string(r.info[b].reason), "");
        CHECK_EQUAL(r.info[b].gain, 1.0f);
        CHECK_EQUAL(r.info[b].noise_var, 0.25f);
        CHECK_NEAR(r.info[b].residual, residual, 1e-4);
    }

    // A mask and a noise map. What is given for unmeasured elements may be anything.
    EstimatorOptions o;
    o.observed = {1, 0, 1, 1, 0, 1};
    const std::vector<int> rows = {0, 2, 3, 5};
    const Matrix all = Matrix::Identity(6, 6);
    e = t.make(t.unit + "/gmm", o);
    auto holes = y;
    std::vector<float> noise;
    for (std::size_t i = 0; i < y.size(); i++) {
        noise.push_back(0.05f * float(1 + i % 5));
        if (!o.observed[i % 6])
            holes[i] = noise[i] = std::nanf("");
    }
    r = run(*e, holes, noise, true);
    auto equal = run(*e, holes, {0.25f});
    for (std::size_t b = 0; b < 5; b++) {
        Vector z(4);
        Eigen::VectorXd nv(4);
        for (int i = 0; i < 4; i++) {
            z(i) = cdouble(y[6 * b + std::size_t(rows[std::size_t(i)])]);
            nv(i) = noise[6 * b + std::size_t(rows[std::size_t(i)])];
        }
        const Matrix seen = all(rows, Eigen::all);
        CHECK_BELOW((to_vector(&r.mean[6 * b], 6) - posterior(t.model, seen, z, nv).mean).norm(),
                    1e-5);
        CHECK_BELOW((to_vector(&equal.mean[6 * b], 6) -
                     posterior(t.model, seen, z, Eigen::VectorXd::Constant(4, 0.25)).mean)
                        .norm(),
                    1e-5);
    }
    e->set_observed({});
    r = run(*e, y, {0.25f});
    CHECK_BELOW(
        (to_vector(&r.mean[0], 6) - posterior(t.model, to_vector(&y[0], 6), 0.25).mean).norm(),
        1e-5);

    // A matrix: y = A x + n with fewer rows than unknowns.
    Random random(3);
    const Matrix a = random.cmatrix(4, 6);
    EstimatorOptions om;
    om.matrix_rows = 4;
    for (Eigen::Index i = 0; i < 4; i++)
        for (Eigen::Index j = 0; j < 6; j++)
            om.matrix.push_back(cfloat(a(i, j)));
    e = t.make(t.unit + "/matrix", om);
    CHECK_EQUAL(e->input_size(), 4u);
    CHECK_EQUAL(e->output_size(), 6u);
    const Vector z = a * t.model.draw(random) + 0.3 * random.cvector(4);
    std::vector<cfloat> zs;
    for (const auto& v : z)
        zs.push_back(cfloat(v));
    const Posterior p =
        posterior(t.model, a, to_vector(zs.data(), 4), Eigen::VectorXd::Constant(4, 0.09));
    r = run(*e, zs, {0.09f});
    CHECK_BELOW((to_vector(&r.mean[0], 6) - p.mean).norm(), 1e-4);
    for (int i = 0; i < 6; i++)
        CHECK_NEAR(r.variance[std::size_t(i)], p.covariance(i, i).real(), 1e-4);
    r = run(*e, {cfloat(NAN), cfloat(2), cfloat(0), cfloat(0)}, {0.09f});
    CHECK(r.info[0].bypassed && r.variance[0] != r.variance[0]);
}

// Scale invariance: y and its noise times g^2 give the estimate times g, whatever g.
void gain(const Toy& t)
{
    auto e = t.make(t.measured + "/gmm");
    const auto y = measurements(t.model, 4, 0.3, 5);
    const auto plain = run(*e, y, {0.09f});
    for (double g : {1e-6, 0.01, 300.0, 1e6}) {
        auto scaled = y;
        for (auto& v : scaled)
            v *= float(g);
        const auto r = run(*e, scaled, {float(0.09 * g * g)});
        for (std::size_t i = 0; i < y.size(); i++) {
            CHECK_NEAR(std::abs(r.mean[i] / float(g) - plain.mean[i]), 0.0, 1e-4);
            CHECK_NEAR(r.variance[i] / (g * g), plain.variance[i], 1e-4);
        }
        CHECK_NEAR(r.info[0].gain / g, plain.info[0].gain, 1e-4);
    }
    // The rule of docs/model_contract.md, and its floor.
    double power = 0;
    for (std::size_t i = 0; i < 6; i++)
        power += std::norm(y[i]) / 6;
    CHECK_NEAR(plain.info[0].gain, std::sqrt(std::max(power - 0.09, 0.09 / std::sqrt(6.0))), 1e-5);
    CHECK_NEAR(run(*e, y, {1e4f}).info[0].gain, std::sqrt(1e4 / std::sqrt(6.0)), 1e-2);
    const auto zero = run(*e, std::vector<cfloat>(6), {1e-3f});
    CHECK(!zero.info[0].bypassed && std::isfinite(zero.mean[0].real()));
}

void least_squares()
{
    EstimatorOptions o;
    o.item_size = 4;
    Estimator e(load_scheme("ls"), o);
    const std::vector<cfloat> y = {{1, 2}, {3, 4}, {1e-20f, -0.0f}, {5e8f, 6}};
    auto r = run(e, y, {0.5f});
    CHECK(r.mean == y); // to the bit
    CHECK_EQUAL(r.variance[2], 0.5f);
    CHECK_EQUAL(r.info[0].steps, 0);
    CHECK(!r.info[0].bypassed);
    e.set_observed({1, 1, 0, 1});
    r = run(e, y, {0.1f, 0.2f, NAN, 0.4f}, true);
    CHECK_EQUAL(r.mean[2], cfloat(0, 0));
    CHECK(std::isnan(r.variance[2]));
    CHECK_EQUAL(r.variance[3], 0.4f);
    CHECK(!r.info[0].bypassed);
}

// Bad items are bypassed and marked; their neighbours in the batch are not touched. (The items are of the mixture, which the
// guard would hold against the Gaussian.)
void bypass(const Toy& t)
{
    const float inf = std::numeric_limits<float>::infinity(), nan = std::nanf("");
    for (const char* member : {"/gmm", "/gaussian:sampler=ddpm,steps=4,guard=off"}) {
        auto e = t.make(t.measured + member);
        const auto y = measurements(t.model, 8, 0.3, 7);
        const auto good = run(*e, y, {0.09f});
        auto bad = y;
        bad[6 * 1 + 2] = cfloat(nan, 0);
        bad[6 * 3] = cfloat(0, inf);
        bad[6 * 7 + 5] = cfloat(-inf, nan);
        std::vector<float> noise(8, 0.09f);
        noise[2] = 0;
        noise[4] = -1;
        noise[5] = nan;
        auto r = run(*e, bad, noise);
        for (std::size_t b = 0; b < 8; b++) {
            const bool touched = b != 0 && b != 6;
            CHECK_EQUAL(r.info[b].bypassed, touched);
            CHECK_EQUAL(std::string(r.info[b].reason),
                        !touched                     ? ""
                        : b == 1 || b == 3 || b == 7 ? "nan"
                                                     : "noise");
            CHECK_EQUAL(r.info[b].steps > 0, !touched);
            for (std::size_t i = 6 * b; i < 6 * b + 6; i++)
                if (!touched)
                    CHECK_NEAR(std::abs(r.mean[i] - good.mean[i]), 0.0, 1e-5);
                else if (std::isfinite(bad[i].real()) && std::isfinite(bad[i].imag()))
                    CHECK_EQUAL(r.mean[i], bad[i]);
        }
        for (float absurd : {inf, 1e31f, 3e38f, 1e-42f})
            CHECK_EQUAL(std::string(run(*e, y, {absurd}).info[0].reason), "noise");
        for (float extreme : {1e-30f, 1e-12f, 1e12f, 1e30f}) {
            r = run(*e, y, {extreme});
            for (const auto& v : r.mean)
                CHECK(std::isfinite(v.real()) && std::isfinite(v.imag()));
        }
        for (float scale : {1e-30f, 1e-19f, 1e15f, 1e38f}) { // powers that leave the range of float
            auto scaled = y;
            for (auto& v : scaled)
                v *= scale;
            r = run(*e, scaled, {0.09f});
            for (const auto& v : r.mean)
                CHECK(std::isfinite(v.real()) && std::isfinite(v.imag()));
        }
    }
}

void errors(const Toy& t)
{
    EstimatorOptions o;
    CHECK_THROWS(Estimator(load_scheme("ls"), o), {"give the vector length"});
    CHECK_THROWS(Estimator(nullptr, o), {"no scheme"});
    o.item_size = 5;
    CHECK_THROWS(t.make(t.unit, o), {"vector length = 5", "vectors of 6"});
    o = {};
    o.observed = {1, 0};
    CHECK_THROWS(t.make(t.unit, o), {"observed has 2 elements, the vectors have 6"});
    o.observed.assign(6, 0);
    CHECK_THROWS(t.make(t.unit, o), {"observes no element"});
    o = {};
    o.max_batch = 0;
    CHECK_THROWS(t.make(t.unit, o), {"max_batch = 0"});
    o = {};
    o.eta = 2;
    CHECK_THROWS(t.make(t.unit, o), {"eta = 2"});
    o = {};
    o.matrix.resize(6);
    o.matrix_rows = 1;
    CHECK_THROWS(t.make(t.unit, o), {"operator 'mask'", "leave the matrix out"});
    CHECK_THROWS(t.make(t.unit + "/matrix", o), {"matrix is zero"});
    o.matrix[0] = 1;
    o.matrix_rows = 2;
    CHECK_THROWS(t.make(t.unit + "/matrix", o), {"6 elements, not 2 x 6"});
    o = {};
    CHECK_THROWS(t.make(t.unit + "/matrix", o), {"needs a measurement matrix of M x 6"});
    auto e = t.make(t.unit + "/gmm");
    CHECK_THROWS(e->set_observed({1}), {"observed has 1 elements"});
    const auto y = measurements(t.model, 1, 0.4, 1);
    CHECK(!run(*e, y, {0.16f}).info[0].bypassed); // and it still works
}

} // namespace

int main()
{
    const Toy toy;
    exact_answers(toy);
    gain(toy);
    least_squares();
    bypass(toy);
    errors(toy);
    return check::result("estimator");
}
