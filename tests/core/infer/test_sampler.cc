/*
 * SPDX-License-Identifier: GPL-3.0-or-later
 *
 * What samplers converge to, against closed forms. Walks the registry: a new sampler is tested for
 * the class that its entry claims (seeks the mean, or draws).
 */
#include "check.h"
#include "fixtures.h"

#include <gnuradio/diffsem/core/infer/condition.h>
#include <gnuradio/diffsem/core/infer/sampler.h>

#include <algorithm>
#include <vector>

using namespace fixtures;

namespace {

std::vector<float> geometric(double from, double to, int count, bool zero = true)
{
    std::vector<float> l;
    for (int k = 0; k < count; k++)
        l.push_back(float(from * std::pow(to / from, count > 1 ? double(k) / (count - 1) : 0)));
    if (zero)
        l.push_back(0.0f);
    return l;
}

const SamplerEntry& find_sampler(const std::string& name)
{
    return find_entry(samplers(), "sampler", name);
}

// Runs a sampler from given states, all at the first of the levels.
std::vector<Vector> run(const SamplerEntry& sampler,
                        std::shared_ptr<const Denoiser> denoiser,
                        const std::vector<Vector>& start,
                        const std::vector<float>& levels,
                        double eta = 0,
                        std::uint64_t seed = 1)
{
    const auto n = start[0].size();
    SamplerRun r(denoiser, Domain::complex, {n}, start.size());
    r.x = to_tensor(start);
    r.levels = Levels::list(start.size(), levels);
    r.rng = Rng(seed);
    r.eta = float(eta);
    for (std::size_t b = 0; b < start.size(); b++)
        r.items[b] = b;
    int seen = 0;
    r.callback = [&](const Progress& p) { CHECK(p.step == seen++); };
    sampler.run(r);
    CHECK(seen >= 1);
    std::vector<Vector> out;
    for (std::size_t b = 0; b < start.size(); b++)
        out.push_back(to_vector(r.x.citem(b), n));
    return out;
}

std::vector<Vector> noise(std::size_t count, Eigen::Index n, double sigma, unsigned seed)
{
    Random r(seed);
    std::vector<Vector> x;
    for (std::size_t b = 0; b < count; b++)
        x.push_back(sigma * r.cvector(n));
    return x;
}

double power(const Vector& v)
{
    return v.squaredNorm() / double(v.size());
}

// Sample mean and covariance against the true ones, relative to the total power.
void compare_moments(const std::vector<Vector>& x,
                     const Posterior& p,
                     double mean_tolerance,
                     double covariance_tolerance)
{
    Vector mean = Vector::Zero(p.mean.size());
    for (const auto& v : x)
        mean += v / double(x.size());
    Matrix covariance = Matrix::Zero(mean.size(), mean.size());
    for (const auto& v : x)
        covariance += (v - mean) * (v - mean).adjoint() / double(x.size() - 1);
    const double scale = p.covariance.trace().real();
    CHECK_BELOW((mean - p.mean).squaredNorm() / scale, mean_tolerance);
    CHECK_BELOW((covariance - p.covariance).norm() / p.covariance.norm(), covariance_tolerance);
}

struct Sent {
    std::vector<Vector> x0, y;
};

Sent send(const Mixture& m, double sigma, std::size_t count, unsigned seed)
{
    Random r(seed);
    Sent s;
    for (std::size_t b = 0; b < count; b++) {
        s.x0.push_back(m.draw(r));
        s.y.push_back(s.x0.back() + sigma * r.cvector(m.n()));
    }
    return s;
}

// One step from the matched start is the posterior mean, for Gaussian and mixture.
void one_step(const Mixture& m, std::shared_ptr<const Prior> prior)
{
    for (double sigma : {3.0, 1.0, 0.1}) {
        const Sent s = send(m, sigma, 20, 1);
        const auto x = run(find_sampler("one_step"), prior, s.y, {float(sigma), 0.0f});
        for (std::size_t b = 0; b < s.y.size(); b++)
            CHECK_BELOW(
                (x[b] - posterior(m, s.y[b], std::pow(double(float(sigma)), 2)).mean).norm(), 1e-5);
    }
}

// Where the mean seekers' recursion ends with infinitely many levels: dx/du = 2 (x - D(x, e^u)), u = ln s,
// by Runge and Kutta's fourth order; then D (docs/theory.md). Not a sampler of the library.
std::vector<Vector>
mean_flow(const Denoiser& prior, const std::vector<Vector>& y, double sigma, int steps = 24)
{
    Tensor x = to_tensor(y);
    const auto workspace = prior.make_workspace(y.size());
    Estimate d(prior.traits().domain, {y[0].size()}, y.size());
    d.want_variance = false;
    Sigma level(y.size(), 1);
    const auto denoise = [&](const Tensor& at, double u) {
        std::fill_n(level.item(0), y.size(), float(std::exp(u)));
        prior.denoise(at, level, *workspace, d);
    };
    const double from = std::log(sigma), h = (std::log(0.003) - from) / steps;
    Tensor at = x, sum = x;
    for (int k = 0; k < steps; k++) {
        const double u = from + k * h;
        std::fill_n(sum.data(), sum.size(), 0.0f);
        at = x;
        for (int stage = 0; stage < 4; stage++) {
            denoise(at, u + (stage == 0 ? 0 : stage == 3 ? h : h / 2));
            const double reach = stage == 2 ? h : h / 2;
            for (std::size_t i = 0; i < x.size(); i++) {
                const float slope = 2 * (at.data()[i] - d.mean.data()[i]);
                sum.data()[i] += (stage == 0 || stage == 3 ? 1 : 2) * slope;
                at.data()[i] = x.data()[i] + float(reach) * slope;
            }
        }
        for (std::size_t i = 0; i < x.size(); i++)
            x.data()[i] += float(h / 6) * sum.data()[i];
    }
    denoise(x, from + steps * h);
    std::vector<Vector> out;
    for (std::size_t b = 0; b < y.size(); b++)
        out.push_back(to_vector(d.mean.citem(b), y[0].size()));
    return out;
}

double error_of(const std::vector<Vector>& x, const std::vector<Vector>& truth)
{
    double error = 0;
    for (std::size_t b = 0; b < x.size(); b++)
        error += power(x[b] - truth[b]) / double(x.size());
    return error;
}

// Where a mean seeker of a mixture ends and what it loses to the posterior mean: what the flow loses.
void seeks_flow(const SamplerEntry& s, const Mixture& m, double snr, double flow_loss)
{
    const auto prior = make_mixture_prior(m.parameters());
    const double sigma = std::pow(10, -snr / 20);
    const Sent sent = send(m, sigma, 1000, 3);
    const auto best = run(find_sampler("one_step"), prior, sent.y, {float(sigma), 0.0f});
    const auto flow = mean_flow(*prior, sent.y, sigma);
    const double least = error_of(best, sent.x0), limit = db(error_of(flow, sent.x0) / least);
    std::printf(
        "%s at %g dB: %.3f dB above the posterior mean as levels get finer\n", s.name, snr, limit);
    CHECK_NEAR(limit, flow_loss, 0.01);
    double before = 0, apart = 0;
    for (int levels : {1, 10, 60}) {
        const auto x = run(s, prior, sent.y, geometric(sigma, 0.003, levels));
        const double lost = db(error_of(x, sent.x0) / least);
        CHECK_BELOW(before - 0.002,
                    lost); // more levels are never better, and nothing beats one step
        CHECK_BELOW(lost, limit + 0.002);
        before = lost;
        if (levels > 1) // nearer to the flow; down to what single precision leaves of it
            CHECK_BELOW(error_of(x, flow), 0.6 * apart + 1e-12);
        apart = error_of(x, flow);
    }
    CHECK_BELOW(limit - before, 0.05);
}

// Mean seekers from a matched start: exact for a Gaussian as the levels get finer, first order;
// for a mixture as near to the best possible error as their flow is.
void seeks_mean(const SamplerEntry& s, const Mixture& g, const Mixture& m)
{
    const auto gp = make_mixture_prior(g.parameters());
    const Sent sent = send(g, 1.0, 50, 2);
    double before = 0;
    for (int steps : {25, 50, 100}) {
        const auto x = run(s, gp, sent.y, geometric(1.0, 0.003, steps));
        double error = 0;
        for (std::size_t b = 0; b < x.size(); b++)
            error += power(x[b] - posterior(g, sent.y[b], 1.0).mean) / double(x.size());
        // Half the distance between levels: half the error, a quarter of its power.
        if (before > 1e-9)
            CHECK_NEAR(before / error, 4.0, 0.7);
        before = error;
    }
    CHECK_BELOW(db(before), -35.0); // against a posterior variance of about -6 dB
    // The path commits to a component before it knows; the more the less the noise allows, and most where
    // the mixture is one of decisions (unlike means). These losses are the flow's, not the levels': within
    // 0.2 dB from 0 dB up for channels, and below that what no number of levels can mend.
    const std::pair<double, double> of_channels[] = {
        {-10, 0.224}, {-5, 0.306}, {0, 0.192}, {5, 0.050}, {10, 0.007}, {15, 0.0}};
    for (const auto& [snr, loss] : of_channels)
        seeks_flow(s, channels(), snr, loss);
    const std::pair<double, double> of_unlike[] = {{-5, 0.554}, {0, 0.304}, {5, 0.031}, {10, 0.0}};
    for (const auto& [snr, loss] : of_unlike)
        seeks_flow(s, m, snr, loss);
}

// Ancestral sampling from a matched start draws from the posterior.
void draws_posterior(const SamplerEntry& s, double eta, const Mixture& m)
{
    const double sigma = 0.7;
    const Vector y = send(m, sigma, 3, 4).y[2];
    const auto x = run(s,
                       make_mixture_prior(m.parameters()),
                       std::vector<Vector>(2500, y),
                       geometric(sigma, 0.01, 200),
                       eta);
    compare_moments(x, posterior(m, y, sigma * sigma), 0.005, 0.1);
}

// From pure noise, without measurement: the prior; with one: the posterior.
void from_noise(const SamplerEntry& s,
                double eta,
                const Mixture& m,
                const std::vector<float>& levels)
{
    const auto prior = make_mixture_prior(m.parameters());
    const auto start = noise(2000, m.n(), levels.front(), 5);
    const auto x = run(s, prior, start, levels, eta);
    if (s.seeks_mean) {
        for (std::size_t b = 0; b < 10; b++)
            CHECK_BELOW(power(x[b] - m.mean()), 0.03);
    } else {
        compare_moments(x, {m.mean(), m.covariance()}, 0.006, 0.12);
    }

    const double sigma = 0.5;
    const Vector y = send(m, sigma, 1, 6).y[0];
    const std::vector<int> rows = {0, 2, 3};
    std::vector<std::uint8_t> observed(std::size_t(m.n()), 0);
    for (int i : rows)
        observed[std::size_t(i)] = 1;
    const Matrix all = Matrix::Identity(m.n(), m.n());
    const Posterior exact =
        posterior(m, all(rows, Eigen::all), y(rows), Eigen::VectorXd::Constant(3, sigma * sigma));
    const std::size_t count = 1000;
    const Tensor ys = to_tensor(std::vector<Vector>(count, y));
    const Sigma level(count, 1, float(sigma));
    const std::shared_ptr<const Denoiser> denoiser =
        condition(prior, make_mask_operator(observed), ys, level);
    const auto xp = run(s, denoiser, {start.begin(), start.begin() + count}, levels, eta);
    if (s.seeks_mean)
        for (std::size_t b = 0; b < 10; b++)
            CHECK_BELOW(power(xp[b] - exact.mean), 0.03);
    else
        compare_moments(xp, exact, 0.01, 0.15);
}

// Deterministic samplers that draw: the flow of a Gaussian is x sqrt((l + t^2) / (l + s^2)) in the
// eigenbasis of its covariance; the error must shrink with the solver's order.
void flow_map(const SamplerEntry& s, int order)
{
    const Mixture g = gaussian();
    const auto prior = make_mixture_prior(g.parameters());
    const double from = 3.0, to = 0.3;
    const Matrix flow = spectral(
        g.covariances[0], [&](double l) { return std::sqrt((l + to * to) / (l + from * from)); });
    const auto start = noise(20, g.n(), from, 7);
    std::vector<double> errors;
    for (int steps : {8, 16, 32}) {
        const auto x = run(s, prior, start, geometric(from, to, steps + 1, false));
        double error = 0;
        for (std::size_t b = 0; b < x.size(); b++) {
            error += (x[b] - flow * start[b]).squaredNorm();
        }
        errors.push_back(std::sqrt(error));
    }
    const double measured = std::log2(errors[1] / errors[2]);
    std::printf("%s: measured order %.2f, relative error of 32 steps %.1e\n",
                s.name,
                measured,
                errors[2] / std::sqrt(20.0 * 8));
    CHECK_NEAR(measured, order, 0.3);
}

// From a matched start the flow is not the posterior mean: for a white Gaussian it scales y by
// sqrt(1 / (1 + sigma^2)) rather than by the square of that. The loss is a fact to document.
void flow_is_not_the_mean(const SamplerEntry& s, double snr, double loss)
{
    MixtureParameters p;
    p.shape = {8};
    p.variances.assign(8, 1.0);
    const double sigma = std::pow(10, -snr / 20);
    Random r(9);
    std::vector<Vector> x0, y;
    for (int b = 0; b < 3000; b++) {
        x0.push_back(r.cvector(8));
        y.push_back(x0.back() + sigma * r.cvector(8));
    }
    const auto x = run(s, make_mixture_prior(p), y, geometric(sigma, 0.01, 64));
    double error = 0;
    for (std::size_t b = 0; b < x.size(); b++)
        error += power(x[b] - x0[b]) / double(x.size());
    CHECK_NEAR(db(error / (sigma * sigma / (1 + sigma * sigma))), loss, 0.1);
}

// Levels that do not change must not move anything; an item's result does not depend on others.
void standing_still(const SamplerEntry& s)
{
    const Mixture g = gaussian();
    const auto prior = make_mixture_prior(g.parameters());
    const auto start = noise(3, g.n(), 1.0, 10);
    const auto plain = run(s, prior, start, {1.0f, 0.4f, 0.1f, 0.0f});
    if (s.step_evaluations) {
        const auto held = run(s, prior, start, {1.0f, 1.0f, 0.4f, 0.1f, 0.0f});
        if (!s.stochastic)
            for (std::size_t b = 0; b < 3; b++)
                CHECK_BELOW((plain[b] - held[b]).norm(), 1e-5);
    }
    const auto alone = run(s, prior, {start[0]}, {1.0f, 0.4f, 0.1f, 0.0f});
    CHECK_BELOW((plain[0] - alone[0]).norm(), 1e-5);
}

} // namespace

int main()
{
    const Mixture g = gaussian(), m = mixture();
    one_step(g, make_mixture_prior(g.parameters()));
    one_step(m, make_mixture_prior(m.parameters()));
    for (const SamplerEntry* entry : samplers()) {
        const SamplerEntry& s = *entry;
        standing_still(s);
        if (s.seeks_mean && s.step_evaluations)
            seeks_mean(s, g, m);
        if (s.stochastic) {
            draws_posterior(s, 0, g);
            draws_posterior(s, 0, m);
        }
        // The ODE needs few levels, noise many.
        from_noise(
            s, 0, s.seeks_mean ? channels() : m, geometric(30, 0.01, s.stochastic ? 100 : 60));
        if (!s.stochastic && !s.seeks_mean) {
            flow_map(s, s.order);
            flow_is_not_the_mean(s, 0, 0.69);
            flow_is_not_the_mean(s, -10, 1.87);
        }
    }
    // DDIM between the ODE and ancestral sampling.
    draws_posterior(find_sampler("ddim"), 1.0, g);
    from_noise(find_sampler("ddim"), 1.0, m, geometric(30, 0.01, 100));
    from_noise(find_sampler("ddim"), 0.5, m, geometric(30, 0.01, 100));
    CHECK_THROWS(find_entry(samplers(), "sampler", "dpm"),
                 {"'dpm' is unknown", "did you mean 'ddpm'?", "heun"});
    return check::result("sampler");
}
