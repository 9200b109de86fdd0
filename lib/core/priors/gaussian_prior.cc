/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "base/linalg.h"
#include "priors/mixture.h"

#include <cmath>
#include <vector>

namespace gr {
namespace diffsem {
namespace core {

namespace {

using Eigen::Index;
using RowMajor =
    Eigen::Matrix<std::complex<double>, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;

class MixturePrior : public Prior
{
public:
    explicit MixturePrior(MixtureModel model) : d_self(std::move(model)) {}
    const char* type() const override
    {
        return d_self.model().components == 1 ? "gaussian" : "gmm";
    }
    const Traits& traits() const override { return d_self.traits(); }
    std::unique_ptr<Workspace> make_workspace(std::size_t max_batch) const override
    {
        return d_self.make_workspace(max_batch);
    }
    void
    denoise(const Tensor& x, const Sigma& sigma, Workspace& workspace, Estimate& out) const override
    {
        d_self.denoise(x, sigma, workspace, out);
    }
    bool has_vjp() const override { return true; }
    void vjp(const Tensor& x,
             const Sigma& sigma,
             const Tensor& v,
             Workspace& w,
             Tensor& out) const override
    {
        d_self.vjp(x, sigma, v, w, out);
    }
    std::unique_ptr<JointDenoiser> joint(const Operator& a) const override
    {
        // Independent Gaussians: a proximal step with a level for each element is exact, and needs no matrix of all.
        const bool apart = d_self.model().diagonal && d_self.model().components == 1;
        if (!a.blocks().values || (apart && a.level_per_element()) ||
            d_self.traits().domain != Domain::complex)
            return nullptr;
        return std::make_unique<MixtureDenoiser>(d_self.model().append(a));
    }

private:
    MixtureDenoiser d_self;
};

class NoPrior : public Prior
{
public:
    NoPrior(Domain domain, std::vector<std::int64_t> shape)
    {
        d_traits.domain = domain;
        d_traits.shape = std::move(shape);
        d_traits.tensor_sigma = true;
        d_traits.variance = true;
    }
    const char* type() const override { return "none"; }
    const Traits& traits() const override { return d_traits; }
    std::unique_ptr<Workspace> make_workspace(std::size_t) const override
    {
        return std::make_unique<Workspace>();
    }
    void denoise(const Tensor& x, const Sigma& sigma, Workspace&, Estimate& out) const override
    {
        out.set_batch(x.batch());
        out.has_variance = true;
        const std::size_t parts = x.elements() ? x.width() / x.elements() : 1;
        for (std::size_t b = 0; b < x.batch(); b++)
            for (std::size_t i = 0; i < x.elements(); i++) {
                const float s = sigma.at(b, i);
                for (std::size_t j = parts * i; j < parts * (i + 1); j++)
                    out.mean.item(b)[j] = std::isfinite(s) ? x.item(b)[j] : 0.0f;
                out.variance[b * x.elements() + i] = s * s;
            }
    }
    bool has_vjp() const override { return true; }
    void vjp(const Tensor& x,
             const Sigma& sigma,
             const Tensor& v,
             Workspace&,
             Tensor& out) const override
    {
        out.set_batch(x.batch());
        const std::size_t parts = x.elements() ? x.width() / x.elements() : 1;
        for (std::size_t b = 0; b < x.batch(); b++)
            for (std::size_t j = 0; j < x.width(); j++)
                out.item(b)[j] = std::isfinite(sigma.at(b, j / parts)) ? v.item(b)[j] : 0.0f;
    }

private:
    Traits d_traits;
};

[[noreturn]] void fail(const std::string& message)
{
    throw Error("Gaussian prior: " + message);
}

void check_count(const char* what, std::size_t found, std::size_t expected)
{
    if (found != expected)
        fail(std::string(what) + " has " + std::to_string(found) + " elements, " +
             std::to_string(expected) + " expected");
}

bool finite(const std::complex<double>& v)
{
    return std::isfinite(v.real()) && std::isfinite(v.imag());
}

} // namespace

std::shared_ptr<const Prior> make_mixture_prior(MixtureParameters p)
{
    const std::size_t n = element_count(p.shape), k = p.weights.size();
    if (!n || !k)
        fail("needs at least one element and one component");
    if (p.means.empty())
        p.means.assign(n * k, 0.0);
    check_count("mean", p.means.size(), n * k);

    MixtureModel model;
    model.domain = p.domain;
    model.shape = p.shape;
    model.n = model.rows = Index(n);
    model.components = Index(k);
    model.diagonal = p.covariances.empty();
    model.log_weights.resize(Index(k));
    double total = 0;
    for (double w : p.weights) {
        if (!(w >= 0) || !std::isfinite(w))
            fail("weights must be positive");
        total += w;
    }
    if (!(total > 0))
        fail("weights must be positive");
    for (std::size_t c = 0; c < k; c++)
        model.log_weights(Index(c)) = std::log(std::max(p.weights[c] / total, 1e-300));
    for (const auto& m : p.means)
        if (!finite(m) || (p.domain == Domain::real && m.imag() != 0))
            fail("means must be finite, and real in the real domain");
    model.means = Eigen::Map<const RowMajor>(p.means.data(), Index(k), Index(n)).transpose();
    model.row_means = model.means;
    model.variances.resize(Index(n), Index(k));

    if (model.diagonal) {
        check_count("variance", p.variances.size(), n * k);
        for (std::size_t i = 0; i < n * k; i++) {
            if (!(p.variances[i] >= 0) || !std::isfinite(p.variances[i]))
                fail("variances must be finite and not negative");
            model.variances(Index(i % n), Index(i / n)) = p.variances[i];
        }
    } else {
        check_count("covariance", p.covariances.size(), n * n * k);
        for (std::size_t c = 0; c < k; c++) {
            const Eigen::MatrixXcd given =
                Eigen::Map<const RowMajor>(p.covariances.data() + c * n * n, Index(n), Index(n));
            if (!given.allFinite() || (p.domain == Domain::real && !given.imag().isZero(0)))
                fail("covariance must be finite, and real in the real domain");
            const double scale = std::max(given.diagonal().real().maxCoeff(), 1e-30);
            if ((given - given.adjoint()).cwiseAbs().maxCoeff() > 1e-4 * scale)
                fail("covariance is not Hermitian");
            Eigen::MatrixXcd cov = 0.5 * (given + given.adjoint());
            Eigen::MatrixXcd lifted = cov; // rounding may leave slightly negative eigenvalues
            lifted.diagonal().array() += 1e-4 * scale;
            if (!cholesky(lifted))
                fail("covariance has negative eigenvalues");
            model.variances.col(Index(c)) = cov.diagonal().real().cwiseMax(0.0);
            model.cb.push_back(cov);
            model.bcb.push_back(std::move(cov));
        }
    }
    return std::make_shared<MixturePrior>(std::move(model));
}

std::shared_ptr<const Prior> make_no_prior(Domain domain, std::vector<std::int64_t> shape)
{
    return std::make_shared<NoPrior>(domain, std::move(shape));
}

} // namespace core
} // namespace diffsem
} // namespace gr
