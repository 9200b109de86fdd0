/*
 * SPDX-License-Identifier: GPL-3.0-or-later
 *
 * condition(prior, operator, y, noise) against E[x0 | x, y] written out: exact where it promises to
 * be, and sensible where it approximates.
 */
#include "check.h"
#include "fixtures.h"

#include <gnuradio/diffsem/core/infer/condition.h>

#include <map>
#include <string>
#include <vector>

using namespace fixtures;

namespace {

// A prior that admits only one level for an item, as many nets do.
class ScalarOnly : public Prior
{
public:
    explicit ScalarOnly(std::shared_ptr<const Prior> inner, bool variance)
        : d_inner(std::move(inner)),
          d_traits(d_inner->traits())
    {
        d_traits.tensor_sigma = false;
        d_traits.variance = variance;
    }
    const char* type() const override { return "gmm"; }
    const Traits& traits() const override { return d_traits; }
    std::unique_ptr<Workspace> make_workspace(std::size_t n) const override
    {
        return d_inner->make_workspace(n);
    }
    void denoise(const Tensor& x, const Sigma& sigma, Workspace& w, Estimate& out) const override
    {
        CHECK(!sigma.per_element());
        d_inner->denoise(x, sigma, w, out);
        out.has_variance = d_traits.variance;
    }

private:
    std::shared_ptr<const Prior> d_inner;
    Traits d_traits;
};

struct Look {
    Vector x0, x, y;
    double level; // of x; inf: nothing known
    Eigen::VectorXd noise;
};

Look draw(const Mixture& m, const Matrix& a, double level, bool unequal, Random& r)
{
    Look l;
    l.x0 = m.draw(r);
    l.level = level;
    l.x = std::isfinite(level) ? Vector(l.x0 + level * r.cvector(m.n())) : Vector::Zero(m.n());
    l.noise.resize(a.rows());
    for (auto& v : l.noise)
        v = std::pow(double(float(unequal ? 0.1 + 0.4 * r.uniform() : 0.3)), 2);
    l.y = a * l.x0;
    for (Eigen::Index i = 0; i < l.y.size(); i++)
        l.y(i) += std::sqrt(l.noise(i)) * r.cnormal();
    return l;
}

// Both looks stacked: z = [I; A] x0 + e, without the rows of which nothing is known.
Posterior exact(const Mixture& m, const Matrix& a, const Look& l)
{
    const Eigen::Index n = m.n(), top = std::isfinite(l.level) ? n : 0;
    Matrix b(top + a.rows(), n);
    Vector z(top + a.rows());
    Eigen::VectorXd noise(top + a.rows());
    b.topRows(top).setIdentity();
    b.bottomRows(a.rows()) = a;
    z << l.x.head(top), l.y;
    noise << Eigen::VectorXd::Constant(top, std::pow(double(float(l.level)), 2)), l.noise;
    return posterior(m, b, z, noise);
}

double distance(const Mixture& m,
                std::shared_ptr<const Prior> prior,
                std::shared_ptr<const Operator> op,
                const Matrix& rows, // of A that are measured, as the oracle wants them
                const std::vector<int>& at,
                double level,
                bool unequal,
                const char* guidance,
                double steps = 0)
{
    Random r(31);
    double worst = 0;
    for (int trial = 0; trial < 5; trial++) {
        const Look l = draw(m, rows, level, unequal, r);
        Vector y = Vector::Constant(Eigen::Index(op->rows()), std::nan(""));
        Sigma noise(1, unequal ? op->rows() : 1, 0.3f);
        for (std::size_t i = 0; i < at.size(); i++) {
            y(at[i]) = l.y(Eigen::Index(i));
            noise.item(0)[unequal ? std::size_t(at[i]) : 0] =
                float(std::sqrt(l.noise(Eigen::Index(i))));
        }
        const Tensor ty = to_tensor({y});
        const auto posterior = std::make_unique<PosteriorDenoiser>(
            prior,
            op,
            1.0f,
            &find_entry(guidances(), "guidance", guidance),
            steps > 0 ? std::map<std::string, double>{{"guidance_steps", steps}}
                      : std::map<std::string, double>{});
        posterior->measure(ty, noise);
        const Sigma sigma{float(level)};
        CHECK_EQUAL(std::string(posterior->acting(sigma)), guidance);
        auto workspace = posterior->make_workspace(1);
        Estimate out(Domain::complex, {m.n()}, 1);
        posterior->denoise(to_tensor({l.x}), sigma, *workspace, out);
        const Posterior p = exact(m, rows, l);
        worst =
            std::max(worst, (to_vector(out.mean.citem(0), m.n()) - p.mean).norm() / p.mean.norm());
        if (out.has_variance)
            for (Eigen::Index i = 0; i < m.n(); i++)
                CHECK_NEAR(out.variance[std::size_t(i)], p.covariance(i, i).real(), 1e-5);
    }
    return worst;
}

} // namespace

int main()
{
    const Mixture g = gaussian(6), m = mixture(6);
    const Matrix eye = Matrix::Identity(6, 6);
    const std::vector<int> all = {0, 1, 2, 3, 4, 5}, some = {0, 2, 5};
    const auto identity = make_identity_operator(6), mask = make_mask_operator({1, 0, 1, 0, 0, 1});
    Random r(8);
    const Matrix a = r.cmatrix(4, 6);
    const std::vector<int> rows = {0, 1, 2, 3};
    const auto matrix = make_matrix_operator(row_major(a), 4, 6);
    for (const Mixture* model : {&g, &m}) {
        const auto prior = make_mixture_prior(model->parameters());
        for (double level : {0.2, 2.0, double(Sigma::unobserved())})
            for (bool unequal : {false, true}) {
                CHECK_BELOW(distance(*model, prior, identity, eye, all, level, unequal, "combined"),
                            1e-5);
                CHECK_BELOW(distance(*model,
                                     prior,
                                     mask,
                                     eye(some, Eigen::all),
                                     some,
                                     level,
                                     unequal,
                                     "combined"),
                            1e-5);
                CHECK_BELOW(distance(*model, prior, matrix, a, rows, level, unequal, "joint"),
                            1e-5);
            }
        // One level for all is still exact where everything is measured with equal noise ...
        const auto scalar = std::make_shared<ScalarOnly>(prior, true),
                   bare = std::make_shared<ScalarOnly>(prior, false);
        CHECK_BELOW(distance(*model, scalar, identity, eye, all, 0.5, false, "combined"), 1e-5);
        // ... else the proximal step approximates: relative errors measured, not derived.
        CHECK_BELOW(distance(*model, scalar, matrix, a, rows, 0.5, false, "proximal"), 0.5);
        CHECK_BELOW(distance(*model, bare, matrix, a, rows, 0.5, true, "proximal"), 0.7);
        CHECK_BELOW(
            distance(*model, scalar, mask, eye(some, Eigen::all), some, 0.5, false, "proximal"),
            0.5);
        CHECK_BELOW(
            distance(*model, bare, mask, eye(some, Eigen::all), some, 0.02, true, "proximal"),
            0.02);
    }
    // The derivative's covariance is a Gaussian's own: as many steps as rows are exact, whatever the levels; through the
    // prior's own derivative or through differences of it, whose single precision is left.
    const auto gaussian_prior = make_mixture_prior(g.parameters());
    const auto differences = std::make_shared<ScalarOnly>(gaussian_prior, false);
    for (bool unequal : {false, true})
        for (const char* guidance : {"pigdm", "dps"}) {
            const double steps =
                guidance[0] == 'p' ? 4 : 8; // without a preconditioner it takes more
            CHECK_BELOW(distance(g, gaussian_prior, matrix, a, rows, 0.5, unequal, guidance, steps),
                        1e-4);
            CHECK_BELOW(distance(g, differences, matrix, a, rows, 0.5, unequal, guidance, steps),
                        1e-3);
            CHECK_BELOW(distance(g,
                                 differences,
                                 mask,
                                 eye(some, Eigen::all),
                                 some,
                                 0.5,
                                 unequal,
                                 guidance,
                                 steps),
                        1e-3);
        }
    // White Gaussian prior: there the proximal step is exact too.
    Mixture white{{1.0}, {Vector::Zero(6)}, {Matrix::Identity(6, 6)}};
    const auto bare = std::make_shared<ScalarOnly>(make_mixture_prior(white.parameters()), false);
    CHECK_BELOW(distance(white, bare, matrix, a, rows, 0.5, false, "proximal"), 1e-5);
    CHECK_BELOW(distance(white, bare, matrix, a, rows, 0.5, true, "proximal"), 1e-5);
    return check::result("condition");
}
