/*
 * SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Plug-and-play with the denoiser of a flow (Martin et al. 2025, PnP-Flow, algorithm 3; arXiv 2601.15767 with a proximal
 * step in the place of a gradient's): at levels s_1 > .. > s_K, with x_0 = x_-1 the state that it begins in,
 *     D_k = D(x_k-1 + momentum (x_k-1 - x_k-2), s_k)
 *     x_k = argmin |y - A x|^2 / e^2 + |x - D_k|^2 / r_k^2,  r_k^2 = trust s_k^2 / (1 + s_k^2),
 * e^2 the noise's variance. On the path H_t = (1 - t) H + t N of a flow s is t / (1 - t). PnP-Flow adds fresh noise at each
 * level; left out, the answer is nearer to the mean. Where the measurement leaves the same few directions open in all of
 * x, the prior's error is far from white: the steps of `proximal` and `pigdm` then believe it too much, and expectation
 * propagation diverges. Here r is larger than a white prior's (trust), and levels fall whatever the prior states.
 * The four numbers were found on draws of training channels behind 25 and 38 of 64 pilots.
 */
#include "infer/guidance_space.h"

#include <algorithm>
#include <cmath>

namespace gr {
namespace diffsem {
namespace core {

namespace {

constexpr int default_steps = 20;
constexpr double first_level = 2.0, last_level = 0.025;
constexpr double trust = 4.5;
constexpr float momentum = 0.2f;

struct Iterates : public GuidanceSpace {
    Tensor before; // x_k-1
};

class PlugAndPlay : public Guidance
{
public:
    explicit PlugAndPlay(int steps) : d_steps(steps) {}
    Traits traits(const GuidanceParts& parts) const override
    {
        Traits t = parts.prior->traits();
        t.variance = t.tensor_sigma = false;
        t.evaluations *= d_steps;
        return t;
    }
    const char* acting(const GuidanceParts&, const Sigma&) const override
    {
        return plug_and_play_guidance().name;
    }
    std::unique_ptr<Workspace> make_workspace(const GuidanceParts& parts,
                                              std::size_t max_batch) const override
    {
        auto s = std::make_unique<Iterates>();
        prepare(*s, parts, max_batch, {&s->x, &s->before});
        s->sigma = s->inflated = Sigma(max_batch, 1);
        return s;
    }

    void denoise(const GuidanceParts& parts,
                 const Tensor& x,
                 const Sigma& sigma,
                 Workspace& workspace,
                 Estimate& out) const override
    {
        auto& s = static_cast<Iterates&>(workspace);
        const std::size_t batch = x.batch(), width = x.width();
        s.x.set_batch(batch);
        s.before.set_batch(batch);
        Sigma &level = s.sigma, &spread = s.inflated;
        level.resize(batch, 1);
        spread.resize(batch, 1);
        for (std::size_t b = 0; b < batch; b++) { // of a state of level infinity nothing is known
            const bool known = std::isfinite(sigma.at(b, 0));
            for (std::size_t j = 0; j < width; j++)
                s.x.item(b)[j] = known ? x.item(b)[j] : 0.0f;
        }
        std::copy_n(s.x.data(), batch * width, s.before.data());
        const bool wanted = out.want_variance;
        out.want_variance = false;
        for (int k = 0; k < d_steps; k++) {
            for (std::size_t b = 0; b < batch; b++) {
                const double at = level_of(k, double(sigma.at(b, 0)));
                level.item(b)[0] = float(at);
                spread.item(b)[0] = float(std::sqrt(trust * at * at / (1 + at * at)));
            }
            parts.prior->denoise(s.x, level, *s.inner, out);
            parts.op->proximal(
                *parts.y, *parts.noise, out.mean, spread, out.mean, s.scratch.data());
            for (std::size_t j = 0; j < batch * width; j++) { // the first answer has none before it
                const float now = out.mean.data()[j];
                s.x.data()[j] = now + (k ? momentum * (now - s.before.data()[j]) : 0.0f);
                s.before.data()[j] = now;
            }
        }
        out.want_variance = wanted;
        out.has_variance = false;
    }

private:
    // A geometric series, from the state's own level where that is lower.
    double level_of(int k, double state) const
    {
        const double last = std::min(last_level, state),
                     first = std::clamp(state, last, first_level);
        return d_steps == 1 ? first : first * std::pow(last / first, double(k) / (d_steps - 1));
    }

    int d_steps;
};

} // namespace

const GuidanceEntry& plug_and_play_guidance()
{
    static const GuidanceEntry e{
        {"plug_and_play",
         "Plug-and-play flow (Martin et al. 2025): the prior at falling levels, a proximal step "
         "after each. Any operator with a proximal step; holds where a measurement leaves the same "
         "few directions open everywhere. Costs guidance_steps evaluations.",
         {{"guidance_steps", "1 .. 64: how often the prior is asked (20)"}}},
        [](const Prior&, const Operator& op) -> std::string {
            return op.has_proximal() ? "" : "the operator has no proximal step";
        },
        [](const GuidanceParts& parts) -> std::unique_ptr<Guidance> {
            return std::make_unique<PlugAndPlay>(guidance_steps(parts, default_steps));
        }};
    return e;
}

} // namespace core
} // namespace diffsem
} // namespace gr
