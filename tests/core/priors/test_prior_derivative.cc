/*
 * SPDX-License-Identifier: GPL-3.0-or-later
 *
 * The derivatives of closed-form priors, and of classifier-free guidance over them, against differences.
 */
#include "check.h"
#include "fixtures.h"

#include "priors/classifier_free.h"

#include <algorithm>
#include <cmath>
#include <memory>

using namespace fixtures;

namespace {

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

} // namespace

int main()
{
    const auto g = make_mixture_prior(gaussian().parameters()),
               m = make_mixture_prior(mixture().parameters());
    for (double sigma : {0.3, 1.0, 3.0}) {
        derivative(*g, sigma, 1);
        derivative(*m, sigma, 2);
        derivative(*make_mixture_prior(real_mixture(true)), sigma, 3);
        derivative(*make_mixture_prior(real_mixture(false)), sigma, 4);
    }
    classifier_free();
    return check::result("prior derivative");
}
