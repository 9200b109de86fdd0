/*
 * SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Closed-form priors against the naive oracle: every pattern of levels, both evaluation paths, both
 * domains; the mean and the variance.
 */
#include "check.h"
#include "fixtures.h"

#include "priors/classifier_free.h"

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

// Three components of four real elements, as diagonals or as matrices.
MixtureParameters real_mixture(bool diagonal)
{
    Random r(6);
    MixtureParameters p;
    p.domain = Domain::real;
    p.shape = {4};
    p.weights = {2, 1, 1};
    for (int i = 0; i < 12; i++) {
        p.means.push_back(r.normal());
        p.variances.push_back(0.1 + r.uniform());
    }
    if (!diagonal) {
        p.covariances.assign(48, 0.05);
        for (std::size_t i = 0; i < 12; i++)
            p.covariances[i / 4 * 16 + i % 4 * 5] = p.variances[i] + 0.05;
        p.variances.clear();
    }
    return p;
}

// J^H v against differences of Re <v, D> along every real direction (a closed form is smooth: h^2 of 1e-4 is left), and
// the symmetry that guidance without a vjp() rests on: J^H v = S^-1 J (S v).
void derivative(const Prior& prior, double middle, unsigned seed, const State* context = nullptr)
{
    Random r(seed);
    const Traits& t = prior.traits();
    const std::size_t items = 3, n = element_count(t.shape);
    Tensor x(t.domain, t.shape, items), v(t.domain, t.shape, items), out(t.domain, t.shape, items);
    for (std::size_t j = 0; j < x.size(); j++) {
        x.data()[j] = float(r.normal());
        v.data()[j] = float(r.normal());
    }
    const std::size_t parts = x.width() / n;
    Sigma sigma(items, n);
    for (std::size_t i = 0; i < items * n; i++)
        sigma.item(0)[i] = float(middle * (0.7 + 0.6 * r.uniform()));
    sigma.item(1)[1] = Sigma::unobserved();
    auto workspace = prior.make_workspace(items);
    workspace->context = context;
    CHECK(prior.has_vjp());
    prior.vjp(x, sigma, v, *workspace, out);
    Estimate up(t.domain, t.shape, items), down(t.domain, t.shape, items);
    const auto difference = [&](const Tensor& direction, float h) { // D(x + h d) - D(x - h d)
        Tensor a = x, b = x;
        for (std::size_t j = 0; j < x.size(); j++) {
            a.data()[j] += h * direction.data()[j];
            b.data()[j] -= h * direction.data()[j];
        }
        prior.denoise(a, sigma, *workspace, up);
        prior.denoise(b, sigma, *workspace, down);
        for (std::size_t j = 0; j < x.size(); j++)
            a.data()[j] = (up.mean.data()[j] - down.mean.data()[j]) / (2 * h);
        return a;
    };
    const float h = float(0.01 * middle);
    for (std::size_t j = 0; j < x.width(); j++) {
        Tensor unit(t.domain, t.shape, items);
        for (std::size_t b = 0; b < items; b++)
            unit.item(b)[j] = 1;
        const Tensor d = difference(unit, h);
        for (std::size_t b = 0; b < items; b++) {
            double slope = 0;
            for (std::size_t k = 0; k < x.width(); k++)
                slope += double(v.item(b)[k]) * d.item(b)[k];
            CHECK_NEAR(out.item(b)[j], slope, 4e-3);
        }
    }
    Tensor scaled = v; // not of item 1: what is not observed has no S v
    for (std::size_t b = 0; b < items; b += 2)
        for (std::size_t j = 0; j < x.width(); j++)
            scaled.item(b)[j] *= std::pow(sigma.at(b, j / parts), 2.0f);
    const Tensor d = difference(scaled, float(0.01 / middle));
    for (std::size_t b = 0; b < items; b += 2)
        for (std::size_t j = 0; j < x.width(); j++)
            CHECK_NEAR(out.item(b)[j], d.item(b)[j] / std::pow(sigma.at(b, j / parts), 2), 8e-3);
}

// Told 1 one closed form, told 0 or nothing another; item by item.
class Told : public Prior
{
public:
    Told(std::shared_ptr<const Prior> one, std::shared_ptr<const Prior> null)
        : d_of{std::move(null), std::move(one)},
          d_traits(d_of[0]->traits())
    {
        d_traits.conditions.resize(1);
        d_traits.conditions[0].name = "class";
        d_traits.conditions[0].null = {0};
    }
    const char* type() const override { return "told"; }
    const Traits& traits() const override { return d_traits; }
    std::unique_ptr<Workspace> make_workspace(std::size_t) const override
    {
        return std::make_unique<Workspace>();
    }
    void denoise(const Tensor& x, const Sigma& sigma, Workspace& w, Estimate& out) const override
    {
        out.set_batch(x.batch());
        out.has_variance = false;
        each(x, sigma, w, [&](const Prior& p, const Tensor& item, const Sigma& s, std::size_t b) {
            Estimate its(x.domain(), x.shape(), 1);
            p.denoise(item, s, *p.make_workspace(1), its);
            std::copy_n(its.mean.data(), x.width(), out.mean.item(b));
        });
    }
    bool has_vjp() const override { return true; }
    void vjp(const Tensor& x,
             const Sigma& sigma,
             const Tensor& v,
             Workspace& w,
             Tensor& out) const override
    {
        out.set_batch(x.batch());
        each(x, sigma, w, [&](const Prior& p, const Tensor& item, const Sigma& s, std::size_t b) {
            Tensor of_v(x.domain(), x.shape(), 1), its = of_v;
            std::copy_n(v.item(b), x.width(), of_v.data());
            p.vjp(item, s, of_v, *p.make_workspace(1), its);
            std::copy_n(its.data(), x.width(), out.item(b));
        });
    }

private:
    template <typename F>
    void each(const Tensor& x, const Sigma& sigma, const Workspace& w, F&& f) const
    {
        for (std::size_t b = 0; b < x.batch(); b++) {
            Tensor item(x.domain(), x.shape(), 1);
            std::copy_n(x.item(b), x.width(), item.data());
            Sigma s(1, sigma.stride());
            std::copy_n(sigma.item(b), sigma.stride(), s.item(0));
            f(*d_of[w.context->find("class")->x.item(b)[0] > 0 ? 1 : 0], item, s, b);
        }
    }
    std::shared_ptr<const Prior> d_of[2];
    Traits d_traits;
};

// Classifier-free guidance of a prior with a derivative has one too, each item's told as the item is.
void classifier_free()
{
    const auto one = make_mixture_prior(mixture().parameters()),
               null = make_mixture_prior(gaussian().parameters());
    const auto told = std::make_shared<Told>(one, null);
    State context;
    Tensor rows(Domain::real, {1}, 3);
    rows.item(0)[0] = rows.item(1)[0] = 1;
    rows.item(2)[0] = 0;
    context.add("class", nullptr, rows, Sigma());
    for (float scale : {0.0f, 0.5f, 2.5f}) {
        const auto prior = make_classifier_free(told, scale);
        CHECK_EQUAL(prior->traits().evaluations, 2);
        for (double sigma : {0.3, 1.0, 3.0})
            derivative(*prior, sigma, 5, &context);
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
    for (double sigma : {0.3, 1.0, 3.0}) {
        derivative(*gp, sigma, 1);
        derivative(*mp, sigma, 2);
        derivative(*make_mixture_prior(real_mixture(true)), sigma, 3);
        derivative(*make_mixture_prior(real_mixture(false)), sigma, 4);
    }
    classifier_free();
    none();
    errors();
    return check::result("prior");
}
