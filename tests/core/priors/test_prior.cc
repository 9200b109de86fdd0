/*
 * SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Closed-form priors against the naive oracle: every pattern of levels, both evaluation paths, both
 * domains; the mean and the variance.
 */
#include "check.h"
#include "fixtures.h"

#include <vector>

using namespace fixtures;

namespace {

// Selects the measured rows of sigma and asks the oracle.
Posterior oracle(const Mixture& m, const Vector& x, const Eigen::VectorXd& sigma)
{
    std::vector<int> rows;
    for (Eigen::Index i = 0; i < sigma.size(); i++)
        if (std::isfinite(sigma(i)))
            rows.push_back(int(i));
    const Matrix all = Matrix::Identity(m.n(), m.n());
    const Matrix b = all(rows, Eigen::all);
    return posterior(m, b, x(rows), Eigen::VectorXd(sigma(rows).array().square()));
}

struct Batch {
    std::vector<Vector> x;
    std::vector<Eigen::VectorXd> sigma;
};

void compare(const Mixture& m, const Prior& prior, const Batch& batch, double tolerance)
{
    const std::size_t items = batch.x.size(), n = std::size_t(m.n());
    bool one_level = true;
    for (const auto& s : batch.sigma)
        one_level = one_level && (s.array() == s(0)).all();
    Sigma sigma(items, one_level ? 1 : n);
    for (std::size_t b = 0; b < items; b++)
        for (std::size_t i = 0; i < sigma.stride(); i++)
            sigma.item(b)[i] = float(batch.sigma[b](Eigen::Index(i)));
    Estimate out(Domain::complex, {std::int64_t(n)}, items);
    auto workspace = prior.make_workspace(items);
    prior.denoise(to_tensor(batch.x), sigma, *workspace, out);
    CHECK(out.has_variance);
    double worst_mean = 0, worst_variance = 0;
    for (std::size_t b = 0; b < items; b++) {
        Eigen::VectorXd levels = batch.sigma[b];
        for (auto& v : levels)
            v = double(float(v));
        const Posterior p = oracle(m, to_vector(to_tensor(batch.x).citem(b), m.n()), levels);
        worst_mean = std::max(worst_mean,
                              (to_vector(out.mean.citem(b), m.n()) - p.mean).cwiseAbs().maxCoeff());
        for (std::size_t i = 0; i < n; i++) {
            const double exact = p.covariance(Eigen::Index(i), Eigen::Index(i)).real();
            worst_variance =
                std::max(worst_variance, std::fabs(out.variance[b * n + i] - exact) / exact);
        }
    }
    CHECK_BELOW(worst_mean, tolerance);
    CHECK_BELOW(worst_variance, 50 * tolerance);
}

void all_levels(const Mixture& m, const Prior& prior)
{
    Random r(21);
    const Eigen::Index n = m.n();
    const double inf = Sigma::unobserved();
    for (double sigma : {10.0, 1.0, 0.3, 0.03, 0.003}) {
        Batch equal, masked, unequal;
        for (int b = 0; b < 7; b++) {
            const Vector x = m.draw(r) + sigma * r.cvector(n);
            equal.x.push_back(x);
            equal.sigma.push_back(Eigen::VectorXd::Constant(n, sigma * (1 + b % 3)));
            Eigen::VectorXd s = Eigen::VectorXd::Constant(n, sigma);
            s(b % 2) = inf; // two patterns in turn, so runs are flushed
            masked.x.push_back(x);
            masked.sigma.push_back(s);
            for (auto& v : s)
                v = sigma * (0.5 + r.uniform());
            s(b % n) = b % 2 ? inf : s(b % n);
            unequal.x.push_back(x);
            unequal.sigma.push_back(s);
        }
        masked.x[3].setConstant(
            cdouble(std::nan(""), 0)); // values of unmeasured elements are not read
        masked.sigma[3] = Eigen::VectorXd::Constant(n, inf);
        masked.sigma[3](2) = sigma;
        masked.x[3](2) = 0.5;
        Batch nothing{{Vector::Zero(n)}, {Eigen::VectorXd::Constant(n, inf)}};
        compare(m, prior, equal, 2e-6);
        compare(m, prior, masked, 2e-6);
        compare(m, prior, unequal, 2e-6);
        compare(m, prior, nothing, 2e-6);
    }
}

// More masks than the cache keeps, asked for again and again.
void many_patterns(const Mixture& m, const Prior& prior)
{
    Random r(22);
    Batch batch;
    for (int round = 0; round < 3; round++)
        for (Eigen::Index hidden = 0; hidden < m.n(); hidden++) {
            Eigen::VectorXd s = Eigen::VectorXd::Constant(m.n(), 0.2);
            s(hidden) = Sigma::unobserved();
            batch.x.push_back(m.draw(r));
            batch.sigma.push_back(s);
        }
    compare(m, prior, batch, 2e-6);
}

// Rank-deficient covariance (four delays over sixteen carriers): the unseen follows exactly.
void singular()
{
    const Eigen::Index n = 16, taps = 4;
    Matrix f(n, taps);
    for (Eigen::Index i = 0; i < n; i++)
        for (Eigen::Index l = 0; l < taps; l++)
            f(i, l) = std::polar(0.5, -2 * M_PI * double(i * l) / double(n));
    Mixture m{{1.0}, {Vector::Zero(n)}, {f * f.adjoint()}};
    const auto prior = make_mixture_prior(m.parameters());
    Random r(4);
    const Vector truth = f * r.cvector(taps);
    Sigma sigma(1, std::size_t(n), 1e-3f);
    for (Eigen::Index i = 6; i < n; i++)
        sigma.item(0)[i] = Sigma::unobserved();
    Estimate out(Domain::complex, {n}, 1);
    auto workspace = prior->make_workspace(1);
    prior->denoise(to_tensor({truth}), sigma, *workspace, out);
    CHECK_BELOW((to_vector(out.mean.citem(0), n) - truth).cwiseAbs().maxCoeff(), 2e-3);
    for (float v : out.variance)
        CHECK(v >= 0 && v < 1e-3);
}

void diagonal_and_real()
{
    Random r(5);
    // A diagonal mixture must agree with the same mixture written as full matrices; in the real domain too.
    for (Domain domain : {Domain::complex, Domain::real}) {
        MixtureParameters diagonal, full;
        diagonal.domain = domain;
        diagonal.shape = {4};
        diagonal.weights = {2, 1, 1};
        for (int i = 0; i < 12; i++) {
            diagonal.means.push_back(domain == Domain::complex ? r.cnormal()
                                                               : cdouble(r.normal(), 0));
            diagonal.variances.push_back(0.1 + r.uniform());
        }
        full = diagonal;
        full.variances.clear();
        full.covariances.assign(48, 0.0);
        for (std::size_t i = 0; i < 12; i++)
            full.covariances[i / 4 * 16 + i % 4 * 5] = diagonal.variances[i];
        const auto a = make_mixture_prior(diagonal), b = make_mixture_prior(full);
        Tensor x(domain, {4}, 20);
        for (std::size_t i = 0; i < x.size(); i++)
            x.data()[i] = float(r.normal());
        Sigma sigma(20, 4);
        for (std::size_t i = 0; i < 80; i++)
            sigma.item(0)[i] = i % 7 ? float(0.05 + r.uniform()) : Sigma::unobserved();
        Estimate one(domain, {4}, 20), two(domain, {4}, 20);
        auto wa = a->make_workspace(20), wb = b->make_workspace(20);
        a->denoise(x, sigma, *wa, one);
        b->denoise(x, sigma, *wb, two);
        for (std::size_t i = 0; i < x.size(); i++)
            CHECK_NEAR(one.mean.data()[i], two.mean.data()[i], 2e-6);
        for (std::size_t i = 0; i < 80; i++)
            CHECK_NEAR(one.variance[i], two.variance[i], 2e-6);
        // Equal levels take the other path of the full one.
        a->denoise(x, Sigma(20, 1, 0.4f), *wa, one);
        b->denoise(x, Sigma(20, 1, 0.4f), *wb, two);
        for (std::size_t i = 0; i < x.size(); i++)
            CHECK_NEAR(one.mean.data()[i], two.mean.data()[i], 2e-6);
    }
    // Two real points: the posterior mean of +-1 in noise is tanh(x / sigma^2).
    MixtureParameters points;
    points.domain = Domain::real;
    points.shape = {1};
    points.weights = {1, 1};
    points.means = {-1.0, 1.0};
    points.variances = {0, 0};
    const auto prior = make_mixture_prior(points);
    Tensor x(Domain::real, {1}, 1);
    Estimate out(Domain::real, {1}, 1);
    auto workspace = prior->make_workspace(1);
    for (float v : {-2.0f, -0.3f, 0.0f, 0.1f, 0.7f}) {
        x.data()[0] = v;
        prior->denoise(x, Sigma(0.8f), *workspace, out);
        const double mean = std::tanh(v / 0.64);
        CHECK_NEAR(out.mean.data()[0], mean, 1e-6);
        CHECK_NEAR(out.variance[0], 1 - mean * mean, 1e-6);
    }
}

void none()
{
    const auto prior = make_no_prior(Domain::complex, {3});
    Estimate out(Domain::complex, {3}, 1);
    auto workspace = prior->make_workspace(1);
    const Tensor x = to_tensor({Vector::Constant(3, cdouble(1, 2))});
    Sigma sigma(1, 3, 0.5f);
    sigma.item(0)[1] = Sigma::unobserved();
    prior->denoise(x, sigma, *workspace, out);
    CHECK_EQUAL(out.mean.citem(0)[0], cfloat(1, 2));
    CHECK_EQUAL(out.mean.citem(0)[1], cfloat(0, 0));
    CHECK_EQUAL(out.variance[0], 0.25f);
    CHECK(std::isinf(out.variance[1]));
}

void errors()
{
    auto good = gaussian(4).parameters();
    auto p = good;
    p.covariances[1] += 0.1;
    CHECK_THROWS(make_mixture_prior(p), {"not Hermitian"});
    p = good;
    for (auto& c : p.covariances)
        c = -c;
    CHECK_THROWS(make_mixture_prior(p), {"negative eigenvalues"});
    p = good;
    p.covariances[5] = std::nan("");
    CHECK_THROWS(make_mixture_prior(p), {"finite"});
    p = good;
    p.covariances.pop_back();
    CHECK_THROWS(make_mixture_prior(p), {"15 elements, 16 expected"});
    p = good;
    p.weights = {0};
    CHECK_THROWS(make_mixture_prior(p), {"weights"});
    p = good;
    p.covariances.clear();
    p.variances = {1, 1, 1, -1};
    CHECK_THROWS(make_mixture_prior(p), {"not negative"});
    p = good;
    p.domain = Domain::real;
    CHECK_THROWS(make_mixture_prior(p), {"real in the real domain"});
}

} // namespace

int main()
{
    const Mixture g = gaussian(), m = mixture();
    const auto gp = make_mixture_prior(g.parameters()), mp = make_mixture_prior(m.parameters());
    CHECK_EQUAL(std::string(gp->type()), "gaussian");
    CHECK_EQUAL(std::string(mp->type()), "gmm");
    all_levels(g, *gp);
    all_levels(m, *mp);
    many_patterns(g, *gp);
    many_patterns(m, *mp);
    singular();
    diagonal_and_real();
    none();
    errors();
    return check::result("prior");
}
