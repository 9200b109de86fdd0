/*
 * SPDX-License-Identifier: GPL-3.0-or-later
 *
 * The way of one item of several unknowns: updates in the driver's order, and the classical answer. Nothing here allocates,
 * and nothing throws to the caller.
 */
#include "infer/joint_estimator_impl.h"

#include "base/linalg.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <limits>

namespace gr {
namespace diffsem {
namespace core {

namespace {

constexpr float absurd_noise = 1e30f; // beyond it squares overflow float
constexpr double least_pivot = 1e-13; // of a direction that y says nothing of, of the largest
constexpr double ridge = 1e-6;        // of least squares, of the largest direction

bool usable(float v)
{
    return v >= std::numeric_limits<float>::min() && v <= absurd_noise;
}

bool finite(const cfloat& v)
{
    return std::isfinite(v.real()) && std::isfinite(v.imag());
}

} // namespace

void JointEstimator::Impl::start()
{
    for (std::size_t u = 0; u < d.size(); u++) {
        std::copy(d[u].prior_mean.begin(), d[u].prior_mean.end(), d[u].mean.begin());
        std::copy(d[u].prior_variance.begin(), d[u].prior_variance.end(), d[u].variance.begin());
        keep_known(u);
    }
}

void JointEstimator::Impl::keep_known(std::size_t u)
{
    const KnownElements& known = d_parts.op->known(u);
    for (std::size_t i = 0; i < known.flags.size(); i++)
        if (known.flags[i]) {
            d[u].mean[i] = known.values[i];
            d[u].variance[i] = 0;
        }
}

const char* JointEstimator::Impl::admit(const Measurement& y, ItemInfo& info) const
{
    double noise = 0;
    std::size_t measured = 0;
    for (std::size_t i = 0; i < d_m; i++) {
        const float v = y.noise(i);
        if (y.noise_stride && v == Sigma::unobserved())
            continue; // y may be anything there
        if (!usable(v))
            return "noise";
        if (!finite(y.y[i]))
            return "nan";
        noise += v;
        measured++;
    }
    info.noise_var = measured ? float(noise / double(measured)) : Sigma::unobserved();
    return measured ? nullptr : "noise";
}

void JointEstimator::Impl::run_item(const Measurement& y,
                                    std::uint64_t index,
                                    const RunLimit& limit,
                                    ItemInfo& info)
{
    using clock = std::chrono::steady_clock;
    info = ItemInfo();
    const char* refused = admit(y, info);
    int rounds = d_rounds;
    if (limit.evaluations >= 0)
        rounds = std::min(rounds, limit.evaluations / std::max(d_round_evaluations, 1));
    if (!refused && rounds < 1)
        refused = limit.reason;
    if (refused)
        return bypass(y, refused, info);
    info.planned = max_evaluations();
    const auto began = clock::now();
    const bool done = infer(y, index, rounds, info, limit.stop);
    info.seconds = std::chrono::duration<double>(clock::now() - began).count();
    if (!done)
        return bypass(y, "inference", info);
    info.residual = residual(y);
}

bool JointEstimator::Impl::infer(const Measurement& y,
                                 std::uint64_t index,
                                 int rounds,
                                 ItemInfo& info,
                                 bool (*stop)())
{
    start();
    d_parts.driver->updates(d_parts.parameters, rounds, d_updates);
    for (const Update& step : d_updates)
        if ((stop && stop()) || !update(step, y, index, info))
            return false;
    return true;
}

// An ordinary inference of one unknown: what y says of it is z = L^H x + n with noise of variance 1, since
// log p(y | x) = 2 Re b^H x - x^H G x + const = -|z - L^H x|^2 + const for G = L L^H and L z = b.
bool JointEstimator::Impl::update(const Update& step,
                                  const Measurement& y,
                                  std::uint64_t index,
                                  ItemInfo& info)
{
    Part& part = d[step.unknown];
    const std::size_t k = part.blocks.cols;
    for (std::size_t block = 0; block < part.blocks.count; block++) {
        d_parts.op->information(step.unknown,
                                block,
                                y,
                                part.belief(),
                                d[1 - step.unknown].belief(),
                                step.treatment,
                                part.gram,
                                part.b);
        factor_semidefinite(part.gram, part.b, least_pivot);
        cfloat* look = part.look->block(block);
        for (std::size_t i = 0; i < k; i++) {
            part.z[block * k + i] = cfloat(part.b(Eigen::Index(i)));
            for (std::size_t j = 0; j < k; j++)
                look[i * k + j] =
                    j < i ? cfloat(0)
                          : cfloat(std::conj(part.gram(Eigen::Index(j), Eigen::Index(i))));
        }
    }
    part.run->set_operator(part.look); // the same one, with other numbers
    const float one = 1;
    ItemInfo its;
    part.run->run(part.z.data(), 1, &one, 1, index, part.mean.data(), part.variance.data(), &its);
    info.steps += its.steps;
    keep_known(step.unknown);
    return !its.bypassed;
}

// From y and the present mean of the other unknown, as if that were exact; with a little weight on 0.
void JointEstimator::Impl::least_squares(std::size_t u, const Measurement& y)
{
    Part& part = d[u];
    const Blocks& blocks = part.blocks;
    for (std::size_t block = 0; block < blocks.count; block++) {
        d_parts.op->information(u,
                                block,
                                y,
                                part.belief(),
                                d[1 - u].belief(),
                                Uncertainty::mean_field,
                                part.gram,
                                part.b);
        const double most = part.gram.diagonal().real().maxCoeff();
        part.gram.diagonal().array() += ridge * most;
        const bool something = most > 0 && std::isfinite(most);
        if (something) {
            factor_semidefinite(part.gram, part.b, 0);
            solve_lower_adjoint(part.gram, part.b);
        }
        for (std::size_t j = 0; j < blocks.cols; j++)
            part.mean[block * blocks.block_step + j * blocks.element_step] =
                something ? cfloat(part.b(Eigen::Index(j))) : cfloat(0);
    }
    keep_known(u);
}

// The classical answer: what the known elements say of the other unknown, and then what that says of the rest.
void JointEstimator::Impl::bypass(const Measurement& y, const char* reason, ItemInfo& info)
{
    for (Part& part : d) {
        std::fill(part.mean.begin(), part.mean.end(), cfloat(0));
        std::fill(part.variance.begin(), part.variance.end(), 0.0f); // taken as exact
    }
    for (std::size_t u = 0; u < d.size(); u++)
        keep_known(u);
    const float one = 1; // of any level: it weighs all elements alike
    const bool sound = std::all_of(y.y, y.y + d_m, finite);
    const std::size_t other = d_parts.op->known(0).any() ? 1 : 0;
    if (sound) {
        least_squares(other, {y.y, &one, 0});
        least_squares(1 - other, {y.y, &one, 0});
    }
    for (Part& part : d)
        std::fill(
            part.variance.begin(), part.variance.end(), std::numeric_limits<float>::quiet_NaN());
    info.bypassed = true;
    info.reason = reason;
}

float JointEstimator::Impl::residual(const Measurement& y)
{
    d_parts.op->apply(d[0].mean.data(), d[1].mean.data(), d_explained.data());
    double sum = 0;
    std::size_t measured = 0;
    for (std::size_t i = 0; i < d_m; i++) {
        if (!std::isfinite(y.noise(i)))
            continue;
        sum += std::norm(std::complex<double>(y.y[i]) - std::complex<double>(d_explained[i])) /
               double(y.noise(i));
        measured++;
    }
    return float(sum / double(std::max<std::size_t>(measured, 1)));
}

void JointEstimator::Impl::write(std::size_t item,
                                 cfloat* const* means,
                                 float* const* variances) const
{
    for (std::size_t u = 0; u < d.size(); u++) {
        std::copy(d[u].mean.begin(), d[u].mean.end(), means[u] + item * d[u].size);
        if (variances && variances[u])
            std::copy(d[u].variance.begin(), d[u].variance.end(), variances[u] + item * d[u].size);
    }
}

} // namespace core
} // namespace diffsem
} // namespace gr
