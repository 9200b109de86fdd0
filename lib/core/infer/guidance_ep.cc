/*
 * SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Expectation propagation between prior and measurement (Minka 2001; for signals of many elements Rangan, Schniter and
 * Fletcher 2019, vector AMP, algorithm 1). Each side is told of the other by a Gaussian of one variance, (r2, g2) of the
 * prior and (r1, g1) of the measurement, and what it was told is taken out of its answer again:
 *     x1 = E[x0 | y, x, N(r2, g2)],  v1 its variance:  1/g1 = 1/v1 - 1/g2,  r1 = g1 (x1/v1 - r2/g2)
 *     x2 = D(r1, sqrt(g1)),          v2 what it states: 1/g2 = 1/v2 - 1/g1,  r2 = g2 (x2/v2 - r1/g1)
 * beginning at (0, 1), a white signal of unit power. x1 is the operator's proximal step, linear or not; v1 is its
 * derivative by r2 times g2 (of any likelihood under a Gaussian), by a difference along random signs (Hutchinson 1990).
 * A look at x0 with level sigma, where a sampler has one, counts with (r2, g2). Good where the operator mixes elements
 * well or keeps them apart; where errors stay in few directions one variance says too little, and it may not settle.
 */
#include "infer/guidance_space.h"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <vector>

namespace gr {
namespace diffsem {
namespace core {

namespace {

constexpr int default_steps = 8;
constexpr double difference = 0.03;                     // of a level
constexpr double least_share = 0.02, most_share = 0.98; // v1 / (its level)^2
constexpr double most_stated = 0.95;                    // v2 / g1
constexpr double damping = 0.7; // share of a new message, from the second on
constexpr double least_variance = 1e-8, most_variance = 900;

struct Messages : public GuidanceSpace {
    Tensor told, seen, near, message; // z, x1, x1 at z + h q, r2
    Sigma level;                      // of z
    std::vector<double> g2, tau2;     // of each item
};

// +1 or -1 for component j: any fixed signs do that no operator is likely to have.
float sign(std::size_t j)
{
    std::uint64_t h = (std::uint64_t(j) + 1) * 0x9E3779B97F4A7C15ull;
    h ^= h >> 29;
    h *= 0xBF58476D1CE4E5B9ull;
    return h >> 63 ? 1.0f : -1.0f;
}

class Propagation : public Guidance
{
public:
    explicit Propagation(int steps) : d_steps(steps) {}
    Traits traits(const GuidanceParts& parts) const override
    {
        Traits t = parts.prior->traits();
        t.tensor_sigma = false;
        t.evaluations *= d_steps;
        return t;
    }
    const char* acting(const GuidanceParts&, const Sigma&) const override
    {
        return ep_guidance().name;
    }
    std::unique_ptr<Workspace> make_workspace(const GuidanceParts& parts,
                                              std::size_t max_batch) const override
    {
        auto s = std::make_unique<Messages>();
        prepare(*s, parts, max_batch, {&s->x, &s->told, &s->seen, &s->near, &s->message});
        s->sigma = s->level = Sigma(max_batch, 1);
        s->g2.resize(max_batch);
        s->tau2.resize(max_batch);
        return s;
    }

    void denoise(const GuidanceParts& parts,
                 const Tensor& x,
                 const Sigma& sigma,
                 Workspace& workspace,
                 Estimate& out) const override
    {
        auto& s = static_cast<Messages&>(workspace);
        const std::size_t batch = x.batch();
        for (Tensor* t : {&s.x, &s.told, &s.seen, &s.near, &s.message})
            t->set_batch(batch);
        s.sigma.resize(batch, 1);
        s.level.resize(batch, 1);
        s.g2.resize(std::max(s.g2.size(), batch));
        s.tau2.resize(std::max(s.tau2.size(), batch));
        std::fill_n(s.message.data(), s.message.size(), 0.0f);
        std::fill_n(s.g2.begin(), batch, 1.0);
        const bool wanted = out.want_variance;
        out.want_variance = true;
        for (int k = 0; k < d_steps; k++) {
            for (std::size_t b = 0; b < batch; b++)
                tell(x, sigma, b, s);
            parts.op->proximal(*parts.y, *parts.noise, s.told, s.level, s.seen, s.scratch.data());
            for (std::size_t b = 0; b < batch; b++)
                move(b, s);
            parts.op->proximal(*parts.y, *parts.noise, s.told, s.level, s.near, s.scratch.data());
            for (std::size_t b = 0; b < batch; b++)
                from_measurement(b, s);
            parts.prior->denoise(s.x, s.sigma, *s.inner, out);
            if (k + 1 < d_steps)
                for (std::size_t b = 0; b < batch; b++)
                    from_prior(out, b, k == 0 ? 1.0 : damping, s);
        }
        out.want_variance = wanted;
    }

private:
    // z and its level: the prior's message and the look x together.
    static void tell(const Tensor& x, const Sigma& sigma, std::size_t b, Messages& s)
    {
        const double of_x = std::pow(double(sigma.at(b, 0)), 2);
        const bool look = std::isfinite(of_x);
        const double weight = look ? 1 / std::max(of_x, least_variance) : 0;
        s.tau2[b] = 1 / (1 / s.g2[b] + weight);
        for (std::size_t j = 0; j < x.width(); j++) {
            const double told = s.message.item(b)[j] / s.g2[b];
            s.told.item(b)[j] = float(s.tau2[b] * (told + (look ? weight * x.item(b)[j] : 0.0)));
        }
        s.level.item(b)[0] = float(std::sqrt(s.tau2[b]));
    }

    static void move(std::size_t b, Messages& s)
    {
        const float step = float(difference * s.level.at(b, 0));
        for (std::size_t j = 0; j < s.told.width(); j++)
            s.told.item(b)[j] += step * sign(j);
    }

    static void from_measurement(std::size_t b, Messages& s)
    {
        const std::size_t width = s.x.width();
        double along = 0;
        for (std::size_t j = 0; j < width; j++)
            along += double(sign(j)) * (s.near.item(b)[j] - s.seen.item(b)[j]);
        double share = along / (difference * s.level.at(b, 0) * double(width));
        share = std::isfinite(share) ? std::clamp(share, least_share, most_share) : most_share;
        const double v1 = share * s.tau2[b], g2 = s.g2[b];
        // With a look at hand v1 is below tau2, which is below g2; without one tau2 is g2.
        const double g1 = std::clamp(1 / (1 / v1 - 1 / g2), least_variance, most_variance);
        for (std::size_t j = 0; j < width; j++)
            s.x.item(b)[j] = float(g1 * (s.seen.item(b)[j] / v1 - s.message.item(b)[j] / g2));
        s.sigma.item(b)[0] = float(std::sqrt(g1));
    }

    static void from_prior(const Estimate& answer, std::size_t b, double share, Messages& s)
    {
        const std::size_t n = answer.mean.elements();
        double v2 = 0;
        for (std::size_t i = 0; i < n; i++)
            v2 += double(answer.variance[b * n + i]) / double(n);
        const double g1 = std::pow(double(s.sigma.at(b, 0)), 2);
        v2 = std::clamp(v2, least_variance, most_stated * g1);
        const double g2 = std::max(1 / (1 / v2 - 1 / g1), least_variance);
        for (std::size_t j = 0; j < s.message.width(); j++) {
            const double now = g2 * (answer.mean.item(b)[j] / v2 - s.x.item(b)[j] / g1);
            s.message.item(b)[j] = float(share * now + (1 - share) * s.message.item(b)[j]);
        }
        s.g2[b] = std::exp(share * std::log(g2) + (1 - share) * std::log(s.g2[b]));
    }

    int d_steps;
};

} // namespace

const GuidanceEntry& ep_guidance()
{
    static const GuidanceEntry e{
        {"ep",
         "Expectation propagation between prior and measurement (vector AMP; Rangan et al. 2019): "
         "each is asked in turn, without what it said before. Any operator with a proximal step, "
         "linear or not, and a prior that states its variance. Costs guidance_steps evaluations.",
         {{"guidance_steps", "1 .. 64: how often the prior is asked (8)"}}},
        [](const Prior& prior, const Operator& op) -> std::string {
            return !op.has_proximal()         ? "the operator has no proximal step"
                   : !prior.traits().variance ? "the prior states no variance"
                                              : "";
        },
        [](const GuidanceParts& parts) -> std::unique_ptr<Guidance> {
            return std::make_unique<Propagation>(guidance_steps(parts, default_steps));
        }};
    return e;
}

} // namespace core
} // namespace diffsem
} // namespace gr
