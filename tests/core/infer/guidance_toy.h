/*
 * SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Small cases with known answers behind a matrix and a mask, and whole runs of a guidance over them.
 */
#pragma once

#include "fixtures.h"

#include <gnuradio/diffsem/core/infer/condition.h>
#include <gnuradio/diffsem/core/infer/sampler.h>

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace fixtures {

// As a network is: no closed form behind it, no derivative, no variance.
class Learned : public Prior
{
public:
    explicit Learned(std::shared_ptr<const Prior> inner, bool each = true)
        : d_inner(std::move(inner)),
          d_traits(d_inner->traits())
    {
        d_traits.variance = false;
        d_traits.tensor_sigma = each;
        d_traits.sigma_max = 100;
    }
    const char* type() const override { return "onnx"; }
    const Traits& traits() const override { return d_traits; }
    std::unique_ptr<Workspace> make_workspace(std::size_t n) const override
    {
        return d_inner->make_workspace(n);
    }
    void denoise(const Tensor& x, const Sigma& sigma, Workspace& w, Estimate& out) const override
    {
        d_inner->denoise(x, sigma, w, out);
        out.has_variance = false;
    }

private:
    std::shared_ptr<const Prior> d_inner;
    Traits d_traits;
};

struct Case {
    Matrix a; // the measured rows
    double noise;
    std::vector<Vector> x0, exact, y;
};

inline Case
measure(const Mixture& m, const Matrix& a, double noise, std::size_t count, unsigned seed)
{
    Random r(seed);
    Case c{a, noise, {}, {}, {}};
    for (std::size_t b = 0; b < count; b++) {
        c.x0.push_back(m.draw(r));
        c.y.push_back(a * c.x0.back() + noise * r.cvector(a.rows()));
        c.exact.push_back(
            posterior(m, a, c.y.back(), Eigen::VectorXd::Constant(a.rows(), noise * noise)).mean);
    }
    return c;
}

// A whole run from nothing known, as the start `noise` begins it; `draws` of each item, one after the other.
inline std::vector<Vector> run(const Case& c,
                               std::shared_ptr<const Prior> prior,
                               std::shared_ptr<const Operator> op,
                               const GuidanceEntry* guidance,
                               const char* sampler,
                               int steps,
                               std::uint64_t first = 0,
                               std::map<std::string, double> keys = {})
{
    const auto n = Eigen::Index(op->cols());
    const std::size_t count = c.y.size();
    auto denoiser = std::make_shared<PosteriorDenoiser>(prior, op, 1.0f, guidance, std::move(keys));
    const Tensor y = to_tensor(c.y);
    const Sigma noise(count, 1, float(c.noise));
    denoiser->measure(y, noise);
    const SamplerEntry& s = find_entry(samplers(), "sampler", sampler);
    std::vector<float> levels;
    for (int k = 0; k < steps; k++)
        levels.push_back(float(10 * std::pow(0.003 / 10, double(k) / (steps - 1))));
    levels.push_back(0);
    SamplerRun r(denoiser, Domain::complex, {n}, count);
    r.x = to_tensor(std::vector<Vector>(count, Vector::Zero(n)));
    r.rng = Rng(5);
    for (std::size_t b = 0; b < count; b++)
        r.items[b] = first + b;
    if (s.seeks_mean)
        levels[0] = Sigma::unobserved();
    else
        for (std::size_t b = 0; b < count; b++) {
            r.rng.fill(r.items[b], 0, Domain::complex, std::size_t(n), r.x.item(b));
            for (std::size_t j = 0; j < r.x.width(); j++)
                r.x.item(b)[j] *= levels[0];
        }
    r.levels = Levels::list(count, levels);
    s.run(r);
    std::vector<Vector> out;
    for (std::size_t b = 0; b < count; b++)
        out.push_back(to_vector(r.x.citem(b), n));
    return out;
}

inline double error(const std::vector<Vector>& x, const std::vector<Vector>& truth)
{
    double sum = 0;
    for (std::size_t b = 0; b < x.size(); b++)
        sum += (x[b] - truth[b]).squaredNorm();
    return sum;
}

inline double over_noise(const Case& c, const std::vector<Vector>& x)
{
    double sum = 0;
    for (std::size_t b = 0; b < x.size(); b++)
        sum += (c.y[b] - c.a * x[b]).squaredNorm();
    return sum / (double(x.size()) * double(c.a.rows()) * c.noise * c.noise);
}

struct Fixture {
    const char* name;
    Mixture model;
    std::shared_ptr<const Operator> op;
    Matrix a; // rows of op that are measured
};

inline std::vector<Fixture> fixtures_of(const Mixture& m, unsigned seed)
{
    const Eigen::Index n = m.n(), rows = n / 2;
    Random r(seed);
    const Matrix eye = Matrix::Identity(n, n);
    const Matrix a = r.cmatrix(rows, n) / std::sqrt(double(rows));
    std::vector<std::uint8_t> observed(std::size_t(n), 0);
    std::vector<int> some;
    for (Eigen::Index i = 0; i < n; i += 2) {
        observed[std::size_t(i)] = 1;
        some.push_back(int(i));
    }
    return {{"matrix", m, make_matrix_operator(row_major(a), std::size_t(rows), std::size_t(n)), a},
            {"mask", m, make_mask_operator(observed), Matrix(eye(some, Eigen::all))}};
}

// y as the operator has it: of a mask with holes, which may hold anything.
inline Case spread_out(const Fixture& f, Case c)
{
    if (f.op->rows() == std::size_t(f.a.rows()))
        return c;
    for (auto& y : c.y) {
        Vector whole = Vector::Constant(f.a.cols(), std::nan(""));
        for (Eigen::Index i = 0; i < y.size(); i++)
            whole(2 * i) = y(i);
        y = whole;
    }
    return c;
}

} // namespace fixtures
