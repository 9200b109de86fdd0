/*
 * SPDX-License-Identifier: GPL-3.0-or-later
 *
 * All samplers work on x = x0 + sigma n, where the equations of differently scaled processes agree.
 * s is the level of an element now, t the next; where they are equal nothing moves.
 */
#include <gnuradio/diffsem/core/infer/sampler.h>

#include <cmath>
#include <stdexcept>
#include <vector>

namespace gr {
namespace diffsem {
namespace core {

SamplerRun::SamplerRun(std::shared_ptr<const Denoiser> d,
                       Domain domain,
                       const std::vector<std::int64_t>& shape,
                       std::size_t max_batch)
    : denoiser(std::move(d)),
      workspace(denoiser ? denoiser->make_workspace(max_batch) : nullptr),
      items(max_batch),
      x(domain, shape, max_batch),
      variance(x.elements() * max_batch),
      second(domain, shape, 0),
      moved(domain, shape, 0)
{
    if (denoiser)
        estimate = Estimate(domain, shape, max_batch);
    second.want_variance = false;
}

void SamplerRun::reserve(std::size_t max_batch)
{
    for (Sigma* level : {&now, &next, &before})
        *level = Sigma(max_batch, x.elements());
    second.set_batch(max_batch);
    moved.set_batch(max_batch);
    noise.resize(x.width());
}

double SamplerRun::key(const char* name, double fallback) const
{
    if (!keys)
        return fallback;
    const auto found = keys->find(name);
    return found == keys->end() ? fallback : found->second;
}

void SamplerRun::evaluate(int step)
{
    if (stop && stop())
        throw std::runtime_error("stopped");
    estimate.want_variance = step == 0 || levels.measured();
    denoiser->denoise(x, now, *workspace, estimate);
    if (step == 0 || levels.measured()) { // of the answer itself, where each step says what it left
        has_variance = estimate.has_variance;
        if (has_variance)
            std::copy(estimate.variance.begin(),
                      estimate.variance.begin() + std::ptrdiff_t(x.batch() * x.elements()),
                      variance.begin());
    }
    if (levels.measured())
        levels.measure(estimate.variance);
    if (callback)
        callback({step, now, x, estimate});
}

namespace {

// f(item, element, first float, one past the last float) for every element of the batch.
template <typename F>
void for_elements(const Tensor& x, F f)
{
    const std::size_t parts = x.elements() ? x.width() / x.elements() : 1;
    for (std::size_t b = 0; b < x.batch(); b++)
        for (std::size_t i = 0; i < x.elements(); i++)
            f(b, i, b * x.width() + parts * i, b * x.width() + parts * (i + 1));
}

// The walk down the levels that all samplers share: evaluate, then step(k) moves x from now to next.
template <typename Step>
void descend(SamplerRun& run, Step step)
{
    for (int k = 0; k < run.levels.steps(); k++) {
        run.levels.now(k, run.now);
        run.levels.next(k, run.next);
        run.evaluate(k);
        // To level 0 all of them go in one way, x <- D; and levels may be of a basis that x is not in (`transform`).
        if (run.levels.measured())
            std::copy(
                run.estimate.mean.data(), run.estimate.mean.data() + run.x.size(), run.x.data());
        else
            step(k);
        run.levels.carry(k, run.x);
    }
}

// x <- D + a (x - D) + c n, with a and c functions of the levels (s, t).
template <typename A, typename C>
void affine_step(SamplerRun& run, int k, A a, C c, bool stochastic)
{
    Tensor& x = run.x;
    const std::size_t parts = x.elements() ? x.width() / x.elements() : 1;
    // One level for the item: its elements are one span.
    const bool whole = !run.now.per_element() && !run.next.per_element();
    const std::size_t spans = whole ? 1 : x.elements(), length = whole ? x.width() : parts;
    for (std::size_t b = 0; b < x.batch(); b++) {
        bool drawn = false;
        for (std::size_t i = 0; i < spans; i++) {
            const double s = run.now.at(b, i), t = run.next.at(b, i);
            if (s == t)
                continue;
            const bool noisy = stochastic && t > 0;
            if (noisy && !drawn) {
                run.noise.resize(x.width());
                run.rng.fill(
                    run.items[b], std::uint32_t(k + 1), x.domain(), x.elements(), run.noise.data());
            }
            drawn = drawn || noisy;
            const float keep = float(a(s, t)), add = noisy ? float(c(s, t)) : 0.0f;
            float* to = x.item(b) + i * length;
            const float* d = run.estimate.mean.item(b) + i * length;
            const float* n = run.noise.data() + i * length;
            if (keep == 0.0f) // at infinity the state says nothing, and may hold anything
                std::copy(d, d + length, to);
            else
                for (std::size_t j = 0; j < length; j++)
                    to[j] = d[j] + keep * (to[j] - d[j]);
            if (add != 0.0f)
                for (std::size_t j = 0; j < length; j++)
                    to[j] += add * n[j];
        }
    }
}

double zero(double, double)
{
    return 0;
}

// x <- D(x, s)
void one_step(SamplerRun& run)
{
    run.levels.now(0, run.now);
    run.evaluate(0);
    std::swap(run.x, run.estimate.mean);
}

// x <- D + (t/s)^2 (x - D) = E[x_t | x_s]: the reverse mean of DDPM without its noise, run from the
// SNR-matched step (Fesl et al. 2024, alg. 1). Converges to E[x0 | y].
void posterior_mean(SamplerRun& run)
{
    descend(run, [&](int k) {
        affine_step(run, k, [](double s, double t) { return (t / s) * (t / s); }, zero, false);
    });
}

// Ancestral sampling (Ho et al. 2020, eq. 6-7): x_t given x_s and x0 = D has the mean
// D + (t/s)^2 (x - D) and the variance t^2 (s^2 - t^2) / s^2.
// The larger of DDPM's two variances (section 3.2) is beta_t of the variance-preserving process; divided by alpha_bar of
// where it goes, (s^2 - t^2) (1 + t^2) / (1 + s^2).
void ddpm(SamplerRun& run)
{
    const double large = run.key("large_variance", 0);
    descend(run, [&](int k) {
        affine_step(
            run,
            k,
            [](double s, double t) { return (t / s) * (t / s); },
            [large](double s, double t) {
                const double rest = std::max(0.0, 1.0 - (t / s) * (t / s));
                return large > 0 ? s * std::sqrt(rest * (1 + t * t) / (1 + s * s))
                                 : t * std::sqrt(rest);
            },
            true);
    });
}

/*
 * A draw of x_t given x_s that is right for a Gaussian at any length of step. x0 given x_s has the covariance C = J S, J the
 * derivative of D (second-order Tweedie), so x_t given x_s, over x0, has the mean D + q^2 (x - D) and the covariance
 *     (1 - q^2)^2 C + t^2 (1 - q^2),   q = t/s,
 * of which ddpm knows the second term alone: where the signal is much stronger than the noise it keeps q^2 of the
 * variance. With g an eigenvalue of J (0 .. 1) the deviation is s sqrt((1 - q^2) (q^2 + (1 - q^2) g)), nearly a straight
 * line in g, so one white z gives both: a_0 z + (a_1 - a_0) J z, the line through g = 0 and 1. At q = 0.6, ten levels over
 * 40 dB, it leaves out at most 6 % of the variance, around g = 1/2. J z is a difference of D: a second evaluation. (Bao et
 * al. 2022, Analytic-DPM, take the trace of C instead, which loses what is correlated.)
 *
 * Behind a guidance that is not exact x keeps what was wrong about D at higher levels, where an approximation is worst: draws
 * that once took the wrong component never left it. Since y is seen anew at each level, x_t needs nothing of x_s but x0:
 * x_t = x0 + t n with fresh n has the same marginal (Zhang et al. 2024, DAPS, prop. 1). Its mean is D and its deviation s
 * sqrt(q^2 + g), by the same line s q z + s (sqrt(1 + q^2) - q) J z.
 */
void posterior_draw(SamplerRun& run)
{
    constexpr float reach = 0.1f; // of the difference, in units of s
    const bool anew = run.denoiser->traits().approximate;
    descend(run, [&](int k) {
        Tensor &x = run.x, &moved = run.moved;
        const std::size_t width = x.width(), parts = x.elements() ? width / x.elements() : 1;
        moved.set_batch(x.batch());
        run.second.set_batch(x.batch());
        run.noise.resize(width);
        const auto draw = [&](std::size_t b) {
            run.rng.fill(
                run.items[b], std::uint32_t(k + 1), x.domain(), x.elements(), run.noise.data());
        };
        for (std::size_t b = 0; b < x.batch(); b++) {
            draw(b);
            for (std::size_t j = 0; j < width; j++)
                moved.item(b)[j] = x.item(b)[j] + reach * run.now.at(b, j / parts) * run.noise[j];
        }
        run.denoiser->denoise(moved, run.now, *run.workspace, run.second);
        for (std::size_t b = 0; b < x.batch(); b++) {
            draw(b);
            float* to = x.item(b);
            const float *d = run.estimate.mean.item(b), *near = run.second.mean.item(b);
            // J has eigenvalues in 0 .. 1, so |J z|^2 is at most <z, J z>: what a net or an approximate guidance says beyond
            // it is cut off.
            double length = 0, along = 0;
            for (std::size_t j = 0; j < width; j++) {
                const double s = run.now.at(b, j / parts);
                const double spread = s > 0 ? (double(near[j]) - d[j]) / (s * reach) : 0.0;
                length += spread * spread;
                along += spread * run.noise[j];
            }
            const double share = length > along ? std::max(along, 0.0) / length : 1.0;
            for (std::size_t j = 0; j < width; j++) {
                const double s = run.now.at(b, j / parts), t = run.next.at(b, j / parts);
                if (s == t)
                    continue;
                const double q = t / s, whole = std::sqrt(std::max(0.0, 1.0 - q * q));
                const double white = anew ? t : t * whole;
                const double along_j = anew ? std::sqrt(1.0 + q * q) - q : (1.0 - q) * whole;
                to[j] = d[j] + float(white) * run.noise[j] +
                        (anew ? 0.0f : float(q * q) * (to[j] - d[j])) +
                        float(share * along_j) / reach * (near[j] - d[j]);
            }
        }
    });
}

// Song et al. 2021, eq. 12 and 16, divided by sqrt(alpha_bar): noise v = eta t sqrt(1 - t^2/s^2), and
// x <- D + sqrt(t^2 - v^2) / s (x - D) + v n. eta = 1 is ancestral sampling, 0 the ODE.
void ddim(SamplerRun& run)
{
    const double eta = run.eta;
    const float clip = float(run.key("clip", 0));
    const auto v2 = [eta](double s, double t) {
        return eta * eta * t * t * std::max(0.0, 1.0 - (t / s) * (t / s));
    };
    descend(run, [&](int k) {
        affine_step(
            run,
            k,
            [&](double s, double t) { return std::sqrt(std::max(0.0, t * t - v2(s, t))) / s; },
            [&](double s, double t) { return std::sqrt(v2(s, t)); },
            eta > 0);
        if (clip > 0) // where D stands for x0; the direction x - D is the network's
            for_elements(run.x, [&](std::size_t b, std::size_t i, std::size_t j, std::size_t end) {
                for (; run.now.at(b, i) != run.next.at(b, i) && j < end; j++) {
                    const float d = run.estimate.mean.data()[j];
                    run.x.data()[j] += std::min(std::max(d, -clip), clip) - d;
                }
            });
    });
}

// Probability-flow ODE dx/ds = (x - D) / s (Karras et al. 2022, eq. 1 and 3), Euler's rule.
void euler(SamplerRun& run)
{
    descend(run, [&](int k) {
        affine_step(run, k, [](double s, double t) { return t / s; }, zero, false);
    });
}

// The same by Heun's rule (Karras et al. 2022, alg. 1): the slope averaged over both ends; where the
// end is level 0 it has no slope there and Euler's step is kept.
void heun(SamplerRun& run)
{
    descend(run, [&](int k) {
        Tensor &x = run.x, &moved = run.moved;
        moved.set_batch(x.batch());
        std::copy(x.data(), x.data() + x.size(), moved.data());
        affine_step(run, k, [](double s, double t) { return t / s; }, zero, false);
        bool inner = false; // does any element stand above 0 after this step?
        for_elements(x, [&](std::size_t b, std::size_t i, std::size_t, std::size_t) {
            inner = inner || run.next.at(b, i) > 0;
        });
        if (!inner)
            return;
        // Elements that have arrived stand at 0, where no denoiser is asked: any small level will do.
        run.before.resize(run.next.batch(), run.next.stride());
        for (std::size_t j = 0; j < run.next.batch() * run.next.stride(); j++)
            run.before.item(0)[j] = std::max(run.next.item(0)[j], run.denoiser->traits().sigma_min);
        run.denoiser->denoise(x, run.before, *run.workspace, run.second);
        for_elements(x, [&](std::size_t b, std::size_t i, std::size_t begin, std::size_t end) {
            const float s = run.now.at(b, i), t = run.next.at(b, i);
            if (s == t || t == 0.0f)
                return;
            for (std::size_t j = begin; j < end; j++) {
                const float here = (moved.data()[j] - run.estimate.mean.data()[j]) / s;
                const float there = (x.data()[j] - run.second.mean.data()[j]) / t;
                x.data()[j] = moved.data()[j] + 0.5f * (t - s) * (here + there);
            }
        });
    });
}

// DPM-Solver++(2M) (Lu et al. 2022, alg. 2) in lambda = -ln s: with h = ln(s/t), r = h_before / h,
// x <- (t/s) x + (1 - t/s) ((1 + 1/2r) D - 1/2r D_before).
void dpmpp_2m(SamplerRun& run)
{
    run.second.set_batch(run.x.batch());
    descend(run, [&](int k) {
        Tensor& x = run.x;
        float *d = run.estimate.mean.data(), *d_before = run.second.mean.data();
        for_elements(x, [&](std::size_t b, std::size_t i, std::size_t begin, std::size_t end) {
            const double s = run.now.at(b, i), t = run.next.at(b, i);
            if (s == t)
                return;
            const double last = k > 0 ? std::log(double(run.before.at(b, i)) / s) : 0.0;
            // First order where there is no earlier step of this element, and down to level 0.
            const float w = last > 0 && t > 0 ? float(0.5 * std::log(s / t) / last) : 0.0f;
            const float ratio = float(t / s);
            for (std::size_t j = begin; j < end; j++) {
                const float ahead = w != 0.0f ? d[j] + w * (d[j] - d_before[j]) : d[j];
                x.data()[j] = ratio * x.data()[j] + (1.0f - ratio) * ahead;
            }
        });
        std::swap(run.estimate, run.second);
        std::swap(run.now, run.before);
    });
}

void check_ddpm(const Fields& f)
{
    const double large = f.number("large_variance", 0);
    if (large != 0 && large != 1)
        f.fail("large_variance", "must be 0 (the smaller) or 1 (the larger)");
}

void check_ddim(const Fields& f)
{
    if (!(f.number("clip", 0) >= 0 && f.number("clip", 0) <= 1e6))
        f.fail("clip", "must lie in 0 (none) .. 10^6");
}

} // namespace

const std::vector<const SamplerEntry*>& samplers()
{
    // {name, documentation, keys}, function, stochastic, seeks_mean, last and step evaluations, check, order, draws
    static const SamplerEntry
        of_one_step = {{"one_step",
                        "x <- D(x, sigma): the posterior mean at once; exact where the prior is.",
                        {}},
                       one_step,
                       false,
                       true,
                       1,
                       0},
        of_posterior_mean = {{"posterior_mean",
                              "DDPM's reverse mean without its noise, from the start that matches "
                              "the SNR: the posterior mean "
                              "(Fesl et al. 2024, alg. 1).",
                              {}},
                             posterior_mean,
                             false,
                             true,
                             1,
                             1},
        of_ddim = {{"ddim",
                    "DDIM (Song et al. 2021, eq. 12 and 16). A draw for eta above 0.",
                    {{"eta", "0 .. 1: noise, of DDPM's (0)"},
                     {"clip",
                      "limit of each component of D where it stands for x0, not in the direction x "
                      "- D; 0: none (0)"}}},
                   ddim,
                   false,
                   false,
                   1,
                   1,
                   check_ddim},
        of_ddpm =
            {{"ddpm",
              "Ancestral sampling (Ho et al. 2020, eq. 6-7): a draw from the posterior as the "
              "levels get fine, narrower than it at a few; `posterior_draw` is not.",
              {{"large_variance", "1: the larger of its two variances, beta (0)"}}},
             ddpm,
             true,
             false,
             1,
             1,
             check_ddpm},
        of_posterior_draw = {{"posterior_draw",
                              "A draw from the posterior with the covariance that the prior's "
                              "derivative says: as wide as the posterior in ten steps; two "
                              "evaluations a step.",
                              {}},
                             posterior_draw,
                             true,
                             false,
                             2,
                             2,
                             nullptr,
                             1,
                             true},
        of_euler = {{"euler",
                     "Probability-flow ODE by Euler's rule (Karras et al. 2022, eq. 1 and 3).",
                     {}},
                    euler,
                    false,
                    false,
                    1,
                    1},
        of_heun = {{"heun",
                    "Probability-flow ODE by Heun's rule (Karras et al. 2022, alg. 1).",
                    {}},
                   heun,
                   false,
                   false,
                   1,
                   2,
                   nullptr,
                   2},
        of_dpmpp_2m = {{"dpmpp_2m", "DPM-Solver++(2M) (Lu et al. 2022, alg. 2).", {}},
                       dpmpp_2m,
                       false,
                       false,
                       1,
                       1,
                       nullptr,
                       2};
    static const std::vector<const SamplerEntry*> table = {&of_one_step,
                                                           &of_posterior_mean,
                                                           &of_ddim,
                                                           &of_ddpm,
                                                           &of_posterior_draw,
                                                           &of_euler,
                                                           &of_heun,
                                                           &of_dpmpp_2m};
    return table;
}

} // namespace core
} // namespace diffsem
} // namespace gr
