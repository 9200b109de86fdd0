/*
 * SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Guidances that go through the prior's derivative. What the prior leaves of x0 at (x, sigma) is a Gaussian around D of the
 * covariance C = Cov[x0 | x] = J S, S = diag(sigma^2) (second-order Tweedie); the operator is A(D) + A' (x0 - D). Then
 *     E[x0 | x, y] = D + C A'^H (A' C A'^H + R)^-1 (y - A(D)),   R = diag(e^2),
 * exact for a Gaussian prior and a linear operator. C is known only by products with a vector, so the system is solved by
 * conjugate gradients (Hestenes and Stiefel 1952), as Rozet et al. 2024 do: `guidance_steps` of them, a product each. J S is
 * symmetric, so C w = J S w is a difference of D along S w, or S times the prior's own J^H w.
 *
 * `pigdm` preconditions by the matrix that a white prior of unit power would have, r^2 A A^H + R, r^2 = sigma^2 / (1 +
 * sigma^2): its first step is the direction of Song et al. 2023 (PiGDM, eq. 8), J^H A^H (r^2 A A^H + R)^-1 (y - A D), of
 * the length that the derivative itself says. `dps` preconditions by R alone: its first step is the gradient of
 * |y - A(D(x))|^2 of Chung et al. 2023 (eq. 16), of that length in place of a step to be tuned, and any operator with a
 * derivative will do.
 *
 * Where A is not linear the system holds near D alone: steps behind the first are searched (line_search.h). The derivative
 * of a network is neither symmetric nor positive everywhere, and conjugate gradients would run away along what is wrong about
 * it: of a learned prior, a step may not leave more of y than D did.
 *
 * Where nothing is known of x, C is the prior's own covariance. Of a closed form the derivative at a high level says it; the
 * differences of a network hardly rise above its error there, so of a learned prior only its mean and the declared unit
 * power are believed: C = 1, and the answer is linear MMSE around that mean.
 */
#include "infer/guidance_space.h"
#include "infer/line_search.h"

#include <algorithm>
#include <cmath>
#include <vector>

namespace gr {
namespace diffsem {
namespace core {

namespace {

// Length of a difference: of the prior in units of sigma, on the scale of which its mean bends; of a learned one above sigma = 1
// in units of sigma^2 (x counts as x / sigma^2 there), or its error would hide what moves; of an operator relative to the
// signal's unit power. Long enough for single precision.
constexpr double prior_difference = 0.03, operator_difference = 0.01;
// Where nothing is known of x the prior is asked there: what a closed form's derivative says is its own covariance, to a
// thousandth.
constexpr float top_level = 30;

struct GradientSpace : public GuidanceSpace {
    Tensor moved, along, spread, correction; // N: x + h S w, w = A'^H p, C w, sum of the steps
    Tensor here, residual, scaled, direction, image; // M: A(D), r, P r, p, A' C w
    Tensor left; // M, of a learned prior behind a linear operator: y - A(D + correction)
    Estimate near;
    Sigma white;                        // r, for each item
    bool unknown = false;               // nothing is known of x, and the prior is learned
    std::vector<double> product, gap;   // of each item: <r, P r>, and how far a difference reaches
    std::vector<double> misfit;         // |y - A(D)|^2 by R^-1
    std::vector<float> length;          // h of each item; of a step
    std::unique_ptr<LineSearch> search; // of several steps through an operator that is not linear
};

double dot(const float* a, const float* b, std::size_t width)
{
    double sum = 0;
    for (std::size_t j = 0; j < width; j++)
        sum += double(a[j]) * b[j];
    return sum;
}

class Gradient : public Guidance
{
public:
    Gradient(const GuidanceEntry& entry, bool preconditioned, int steps)
        : d_entry(entry),
          d_preconditioned(preconditioned),
          d_steps(steps)
    {
    }
    Traits traits(const GuidanceParts& parts) const override
    {
        Traits t = parts.prior->traits();
        t.variance = false; // that of the prior's answer is not the posterior's
        t.evaluations *= 1 + d_steps;
        return t;
    }
    const char* acting(const GuidanceParts&, const Sigma&) const override { return d_entry.name; }
    std::unique_ptr<Workspace> make_workspace(const GuidanceParts& parts,
                                              std::size_t max_batch) const override
    {
        auto s = std::make_unique<GradientSpace>();
        const Domain domain = parts.prior->traits().domain;
        const auto shape = shape_of(parts);
        const std::size_t n = parts.op->cols();
        prepare(*s, parts, max_batch, {&s->x, &s->moved, &s->along, &s->spread, &s->correction});
        for (Tensor* t : {&s->here, &s->residual, &s->scaled, &s->direction, &s->image, &s->left})
            *t = Tensor(domain, {std::int64_t(parts.op->rows())}, max_batch);
        s->near = Estimate(domain, shape, max_batch);
        s->near.want_variance = false;
        s->sigma = Sigma(max_batch, n);
        s->white = Sigma(max_batch, 1);
        s->product.resize(max_batch);
        s->gap.resize(max_batch);
        s->misfit.resize(max_batch);
        s->length.resize(max_batch);
        if (!parts.op->linear() && d_steps > 1)
            s->search = std::make_unique<LineSearch>(s->x, s->here, max_batch);
        return s;
    }

    void denoise(const GuidanceParts& parts,
                 const Tensor& x,
                 const Sigma& sigma,
                 Workspace& workspace,
                 Estimate& out) const override
    {
        auto& s = static_cast<GradientSpace&>(workspace);
        const std::size_t batch = x.batch();
        for (Tensor* t : {&s.along, &s.spread, &s.correction, &s.moved})
            t->set_batch(batch);
        for (Tensor* t : {&s.here, &s.residual, &s.scaled, &s.direction, &s.image, &s.left})
            t->set_batch(batch);
        reach(parts, x, sigma, s);
        const bool wanted = out.want_variance;
        out.want_variance = false;
        parts.prior->denoise(s.x, s.sigma, *s.inner, out);
        out.want_variance = wanted;
        out.has_variance = false;

        const Tensor& y = *parts.y;
        parts.op->apply(out.mean, s.here);
        for (std::size_t j = 0; j < y.size(); j++)
            s.residual.data()[j] = y.data()[j] - s.here.data()[j];
        forget_lost(parts, s.residual);
        std::fill(s.correction.data(), s.correction.data() + s.correction.size(), 0.0f);
        if (s.search)
            s.search->begin(parts, s.residual);
        std::copy(s.residual.data(), s.residual.data() + s.residual.size(), s.left.data());
        for (std::size_t b = 0; b < batch; b++)
            s.misfit[b] = weighted(parts, b, s.left.item(b), s.left.item(b));
        const bool watched = parts.op->linear() && parts.prior->traits().learned;
        for (int k = 0; k < d_steps; k++) {
            precondition(parts, s);
            for (std::size_t b = 0; b < batch; b++) { // p <- P r + beta p
                const std::size_t m = s.residual.width();
                const double now = dot(s.residual.item(b), s.scaled.item(b), m);
                const float beta = k > 0 && s.product[b] > 0 ? float(now / s.product[b]) : 0.0f;
                s.product[b] = now;
                for (std::size_t j = 0; j < m; j++)
                    s.direction.item(b)[j] =
                        s.scaled.item(b)[j] + (k > 0 ? beta * s.direction.item(b)[j] : 0.0f);
            }
            parts.op->vjp(out.mean, s.direction, s.along);
            covariance(parts, out, s);
            differential(parts, out.mean, s);
            for (std::size_t b = 0; b < batch; b++)
                s.length[b] = watched ? nearer(parts, b, s) : length_of(parts, b, s);
            if (s.search)
                s.search->shorten(
                    parts, {out.mean, s.correction, s.spread, s.along, k == 0}, s.moved, s.length);
            for (std::size_t b = 0; b < batch; b++)
                advance(b, s);
            if (s.search)
                s.search->end(s.residual, s.product);
        }
        for (std::size_t j = 0; j < x.size(); j++)
            out.mean.data()[j] += s.correction.data()[j];
    }

private:
    // Levels that differences can be taken at. Beyond the highest, x becomes the evidence of as much weight there: it tends
    // to the x = 0 of which nothing is known.
    void
    reach(const GuidanceParts& parts, const Tensor& x, const Sigma& sigma, GradientSpace& s) const
    {
        const float top = std::min(top_level, parts.prior->traits().sigma_max);
        const std::size_t width = x.width() / x.elements();
        s.x.set_batch(x.batch());
        s.sigma.resize(x.batch(), sigma.stride());
        s.unknown = parts.prior->traits().learned && parts.op->linear();
        for (std::size_t i = 0; s.unknown && i < x.batch() * sigma.stride(); i++)
            s.unknown = sigma.item(0)[i] == Sigma::unobserved();
        for (std::size_t b = 0; b < x.batch(); b++) {
            double squares = 0, whites = 0;
            for (std::size_t i = 0; i < sigma.stride(); i++) {
                const float level = std::min(sigma.at(b, i), top);
                const double square = double(level) * level;
                s.sigma.item(b)[i] = level;
                squares += square;
                whites += square / (1 + square);
            }
            const double mean = std::sqrt(squares / double(sigma.stride()));
            s.white.item(b)[0] =
                s.unknown ? 1.0f : float(std::sqrt(whites / double(sigma.stride())));
            s.gap[b] = prior_difference * mean *
                       (parts.prior->traits().learned ? std::max(mean, 1.0) : 1.0);
            for (std::size_t j = 0; j < x.width(); j++) {
                const float ratio = top / sigma.at(b, j / width);
                s.x.item(b)[j] = ratio >= 1   ? x.item(b)[j]
                                 : ratio == 0 ? 0.0f // it may hold anything
                                              : x.item(b)[j] * ratio * ratio;
            }
        }
    }

    // Rows that no measurement came from are no part of the system.
    static void forget_lost(const GuidanceParts& parts, Tensor& rows)
    {
        const std::uint8_t* observed = parts.op->observed();
        const std::size_t width = rows.width() / rows.elements();
        for (std::size_t b = 0; b < rows.batch(); b++)
            for (std::size_t i = 0; i < rows.elements(); i++)
                if ((observed && !observed[i]) || !std::isfinite(parts.noise->at(b, i)))
                    std::fill_n(rows.item(b) + width * i, width, 0.0f);
    }

    void precondition(const GuidanceParts& parts, GradientSpace& s) const
    {
        std::copy(s.residual.data(), s.residual.data() + s.residual.size(), s.scaled.data());
        if (d_preconditioned || (s.unknown && parts.op->has_whitening())) {
            parts.op->whiten(*parts.noise, s.white, s.scaled, s.scratch.data());
            return;
        }
        const std::size_t width = s.scaled.width() / s.scaled.elements();
        for (std::size_t b = 0; b < s.scaled.batch(); b++)
            for (std::size_t j = 0; j < s.scaled.width(); j++) {
                const double e = parts.noise->at(b, j / width);
                s.scaled.item(b)[j] = float(s.scaled.item(b)[j] / (e * e));
            }
        forget_lost(parts, s.scaled);
    }

    // spread <- C along
    void covariance(const GuidanceParts& parts, const Estimate& at, GradientSpace& s) const
    {
        if (s.unknown) {
            std::copy(s.along.data(), s.along.data() + s.along.size(), s.spread.data());
            return;
        }
        const Prior& prior = *parts.prior;
        const std::size_t width = s.x.width() / s.x.elements();
        const auto variance = [&](std::size_t b, std::size_t j) {
            const float level = s.sigma.at(b, j / width);
            return level * level;
        };
        if (prior.has_vjp()) { // C w = S J^H w
            prior.vjp(s.x, s.sigma, s.along, *s.inner, s.spread);
            for (std::size_t b = 0; b < s.x.batch(); b++)
                for (std::size_t j = 0; j < s.x.width(); j++)
                    s.spread.item(b)[j] *= variance(b, j);
            return;
        }
        for (std::size_t b = 0; b < s.x.batch(); b++) { // C w = (D(x + h S w) - D(x)) / h
            double power = 0;
            for (std::size_t j = 0; j < s.x.width(); j++) {
                s.moved.item(b)[j] = variance(b, j) * s.along.item(b)[j];
                power += double(s.moved.item(b)[j]) * s.moved.item(b)[j];
            }
            s.length[b] =
                power > 0 ? float(s.gap[b] / std::sqrt(power / double(s.x.elements()))) : 0.0f;
            for (std::size_t j = 0; j < s.x.width(); j++)
                s.moved.item(b)[j] = s.x.item(b)[j] + s.length[b] * s.moved.item(b)[j];
        }
        prior.denoise(s.moved, s.sigma, *s.inner, s.near);
        for (std::size_t b = 0; b < s.x.batch(); b++) {
            // C lies between 0 and S, so |C w|^2 by S^-1 is at most <w, C w>: what a net says beyond it is cut off, or a step
            // of nearly no curvature would throw x out of all that the net has seen.
            double length = 0, along = 0;
            for (std::size_t j = 0; j < s.x.width(); j++) {
                float& to = s.spread.item(b)[j];
                to = s.length[b] > 0 ? (s.near.mean.item(b)[j] - at.mean.item(b)[j]) / s.length[b]
                                     : 0.0f;
                length += double(to) * to / variance(b, j);
                along += double(to) * s.along.item(b)[j];
            }
            const float share = length > along ? float(std::max(along, 0.0) / length) : 1.0f;
            for (std::size_t j = 0; j < s.x.width(); j++)
                s.spread.item(b)[j] *= share;
        }
    }

    // image <- A' spread
    void differential(const GuidanceParts& parts, const Tensor& at, GradientSpace& s) const
    {
        if (parts.op->linear()) {
            parts.op->apply(s.spread, s.image);
        } else { // (A(D + h q) - A(D)) / h
            for (std::size_t b = 0; b < at.batch(); b++) {
                const double power = dot(s.spread.item(b), s.spread.item(b), at.width());
                s.length[b] =
                    power > 0
                        ? float(operator_difference / std::sqrt(power / double(at.elements())))
                        : 0.0f;
                for (std::size_t j = 0; j < at.width(); j++)
                    s.moved.item(b)[j] = at.item(b)[j] + s.length[b] * s.spread.item(b)[j];
            }
            parts.op->apply(s.moved, s.image);
            for (std::size_t b = 0; b < at.batch(); b++)
                for (std::size_t j = 0; j < s.image.width(); j++)
                    s.image.item(b)[j] =
                        s.length[b] > 0 ? (s.image.item(b)[j] - s.here.item(b)[j]) / s.length[b]
                                        : 0.0f;
        }
        forget_lost(parts, s.image);
    }

    // How far one step of conjugate gradients of one item goes along p; the image becomes that of the whole system.
    static float length_of(const GuidanceParts& parts, std::size_t b, GradientSpace& s)
    {
        const std::size_t m = s.residual.width(), width = m / s.residual.elements();
        float *p = s.direction.item(b), *image = s.image.item(b);
        double curvature = 0, least = 0;
        for (std::size_t j = 0; j < m; j++) {
            const double e = parts.noise->at(b, j / width);
            const double of_noise = p[j] != 0.0f ? e * e * p[j] : 0.0;
            image[j] += float(of_noise);
            least += of_noise * p[j];
            curvature += double(image[j]) * p[j];
        }
        // C is not negative, so p^H A C A^H p is not; what a net's J says against it is an error, and no step is right.
        return curvature >= least && curvature > 0 ? float(s.product[b] / curvature) : 0.0f;
    }

    // <a, b> by R^-1, of rows that were measured.
    static double
    weighted(const GuidanceParts& parts, std::size_t item, const float* a, const float* b)
    {
        const std::size_t m = parts.y->width(), width = m / parts.y->elements();
        double sum = 0;
        for (std::size_t j = 0; j < m; j++) {
            const double e = parts.noise->at(item, j / width);
            if (std::isfinite(e))
                sum += double(a[j]) * b[j] / (e * e);
        }
        return sum;
    }

    // The same of a learned prior: a step after which y would be missed by more than D misses it goes as far along p
    // as comes nearest to y, or nowhere.
    static float nearer(const GuidanceParts& parts, std::size_t b, GradientSpace& s)
    {
        float *left = s.left.item(b), *scaled = s.scaled.item(b); // P r has done its part
        std::copy(s.image.item(b), s.image.item(b) + s.image.width(), scaled);
        float length = length_of(parts, b, s);
        const double now = weighted(parts, b, left, left), along = weighted(parts, b, left, scaled),
                     square = weighted(parts, b, scaled, scaled);
        if (!(now - 2 * length * along + double(length) * length * square <= s.misfit[b]))
            length = along > 0 && square > 0 ? float(along / square) : 0.0f;
        for (std::size_t j = 0; j < s.left.width(); j++)
            left[j] -= length * scaled[j];
        return length;
    }

    static void advance(std::size_t b, GradientSpace& s)
    {
        for (std::size_t j = 0; j < s.correction.width(); j++)
            s.correction.item(b)[j] += s.length[b] * s.spread.item(b)[j];
        for (std::size_t j = 0; j < s.residual.width(); j++)
            s.residual.item(b)[j] -= s.length[b] * s.image.item(b)[j];
    }

    const GuidanceEntry& d_entry;
    bool d_preconditioned;
    int d_steps;
};

constexpr int pigdm_steps = 4, dps_steps = 1;

} // namespace

const GuidanceEntry& pigdm_guidance()
{
    static const GuidanceEntry e{
        {"pigdm",
         "Pseudo-inverse guidance (Song et al. 2023, eq. 8) with the covariance that the prior's "
         "derivative says, by preconditioned conjugate gradients (Rozet et al. 2024): exact for "
         "Gaussians. Linear operators. Costs 1 + guidance_steps evaluations.",
         {{"guidance_steps",
           "1 .. 64: steps of conjugate gradients, an evaluation each (4; dps: 1)"}}},
        [](const Prior&, const Operator& op) -> std::string {
            return !op.linear()         ? "it needs a linear operator"
                   : op.has_whitening() ? ""
                                        : "the operator cannot whiten its innovation";
        },
        [](const GuidanceParts& parts) -> std::unique_ptr<Guidance> {
            return std::make_unique<Gradient>(
                pigdm_guidance(), true, guidance_steps(parts, pigdm_steps));
        },
        false,
        true,
        false};
    return e;
}

const GuidanceEntry& dps_guidance()
{
    static const GuidanceEntry e{
        {"dps",
         "Diffusion posterior sampling (Chung et al. 2023): the gradient of |y - A(D(x))|^2 "
         "through "
         "prior and operator, of the length that its own curvature says. Any operator with a "
         "derivative, linear or not. Costs 1 + guidance_steps evaluations.",
         {{"guidance_steps",
           "1 .. 64: steps of conjugate gradients, an evaluation each (4; dps: 1)"}}},
        [](const Prior&, const Operator& op) -> std::string {
            return op.level_per_element() ? "the operator has its levels on coefficients"
                   : op.has_vjp()         ? ""
                                          : "the operator has no derivative";
        },
        [](const GuidanceParts& parts) -> std::unique_ptr<Guidance> {
            return std::make_unique<Gradient>(
                dps_guidance(), false, guidance_steps(parts, dps_steps));
        },
        false,
        false,
        false};
    return e;
}

} // namespace core
} // namespace diffsem
} // namespace gr
