/*
 * SPDX-License-Identifier: GPL-3.0-or-later
 *
 * The way of one batch: check and normalise each item, make state and levels, sample, undo the
 * normalisation. Nothing here allocates, and nothing throws to the caller.
 */
#include "infer/estimator_impl.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace gr {
namespace diffsem {
namespace core {

namespace {

constexpr float absurd_noise = 1e30f; // beyond it squares overflow float

bool usable_noise(float v)
{
    return v >= std::numeric_limits<float>::min() && v <= absurd_noise;
}
double square(cfloat v)
{
    return double(v.real()) * v.real() + double(v.imag()) * v.imag();
}

} // namespace

void Estimator::Impl::run(const cfloat* y,
                          std::size_t y_step,
                          std::size_t items,
                          const float* noise_var,
                          std::size_t noise_stride,
                          std::size_t noise_step,
                          std::uint64_t first,
                          cfloat* mean,
                          float* variance,
                          ItemInfo* info,
                          const RunLimit& limit)
{
    for (std::size_t b = 0; b < items; b++) {
        Item item{y + b * y_step,
                  noise_var + b * noise_step,
                  noise_stride,
                  mean + b * d_n,
                  variance ? variance + b * d_n : nullptr,
                  {},
                  info ? info + b : nullptr,
                  1};
        if (limit.evaluations == 0 && d_impl.prior) {
            item.info.noise_var = item.noise_at(0);
            bypass(item, limit.reason);
        } else if (admit(item, first + b) && d_slots.size() == d_options.max_batch) {
            flush(limit);
        }
    }
    flush(limit);
}

int Estimator::Impl::max_evaluations() const
{
    return d_impl.prior ? d_impl.noise_updates + evaluations(*d_impl.sampler, d_plan.max_steps())
                        : 0;
}

// Checks and normalises one item into the next slot; false where it was answered without inference.
bool Estimator::Impl::admit(Item& item, std::uint64_t index)
{
    double noise = 0, power = 0;
    bool good_noise = true;
    for (std::size_t i = 0; i < (item.noise_stride == 1 ? 1 : d_m); i++)
        if (item.noise_stride == 1 || measured(i)) {
            good_noise = good_noise && usable_noise(item.noise[i]);
            noise += item.noise[i];
        }
    noise /= item.noise_stride == 1 ? 1.0 : double(d_measured);
    for (std::size_t i = 0; i < d_m; i++)
        if (measured(i))
            power += square(item.y[i]);
    power /= double(d_measured);
    item.info.noise_var = float(noise);
    // Squares of floats cannot overflow a double: the sum is finite if every element is.
    if (!std::isfinite(power) || !good_noise) {
        bypass(item, std::isfinite(power) ? "noise" : "nan");
        return false;
    }
    if (!d_impl.prior) { // least squares
        bypass(item, "");
        return false;
    }
    item.seen = power;
    if (!measure_gain(item)) {
        bypass(item, "power");
        return false;
    }
    const std::size_t slot = d_slots.size();
    d_slots.push_back(item);
    d_run->items.resize(slot + 1);
    d_run->items[slot] = index;
    d_y.set_batch(slot + 1);
    normalise(slot);
    return true;
}

// False, and nothing changed, where no usable power is left beside the noise.
bool Estimator::Impl::measure_gain(Item& item) const
{
    if (d_impl.info.measured_gain) {
        // The floor is one standard deviation of the mean noise power: docs/model_contract.md.
        const double noise = item.info.noise_var;
        const double power =
            std::max(item.seen - noise, noise / std::sqrt(double(d_measured))) / d_matrix_power;
        if (!(power > 1e-36) || !std::isfinite(power))
            return false;
        item.power = power;
    }
    item.info.gain = float(std::sqrt(item.power));
    return true;
}

void Estimator::Impl::normalise(std::size_t slot)
{
    const Item& item = d_slots[slot];
    const float scale = float(1.0 / std::sqrt(item.power));
    if (d_impl.info.complex_domain)
        for (std::size_t i = 0; i < d_m; i++)
            d_y.citem(slot)[i] = measured(i) ? scale * item.y[i] : cfloat(0.0f, 0.0f);
    else
        for (std::size_t i = 0; i < d_m; i++)
            d_y.item(slot)[i] = measured(i) ? scale * item.y[i].real() : 0.0f;
}

void Estimator::Impl::flush(const RunLimit& limit)
{
    if (d_slots.empty())
        return;
    const char* failure = nullptr;
    try {
        // What fits into the evaluations: the last step always, updates of the noise, other steps.
        const SamplerEntry& s = *d_impl.sampler;
        const int spare = std::max(limit.evaluations - s.last_evaluations, 0);
        if (limit.evaluations < 0) {
            infer(0, d_impl.noise_updates);
        } else {
            const int updates = std::min(spare, d_impl.noise_updates);
            infer(s.step_evaluations > 0 ? 1 + (spare - updates) / s.step_evaluations : 1, updates);
        }
    } catch (const std::exception&) {
        failure = "inference";
    }
    for (std::size_t slot = 0; slot < d_slots.size(); slot++) {
        Item& item = d_slots[slot];
        if (failure || !finish(slot, item))
            bypass(item, "inference");
    }
    d_slots.clear();
}

void Estimator::Impl::infer(int most_steps, int noise_updates)
{
    const std::size_t batch = d_slots.size();
    SamplerRun& run = *d_run;
    run.rng = Rng(d_options.seed ? d_options.seed : d_impl.seed, d_options.stream);
    run.eta = d_eta;
    run.x.set_batch(batch);
    set_levels();
    for (d_updates = 0; d_updates < noise_updates; d_updates++)
        update_noise();
    if (d_posterior)
        d_posterior->measure(d_y, d_noise);
    if (d_impl.start->consumes_measurement)
        begin_at_measurement();
    else
        begin_in_noise();
    run.levels.prepare(d_plan, d_start, d_plan.sigma_max(), most_steps);
    d_impl.sampler->run(run);
}

// The noise of the batch, relative to its signals.
void Estimator::Impl::set_levels()
{
    const std::size_t batch = d_slots.size();
    const std::size_t stride = d_slots.front().noise_stride == 1 ? 1 : d_m;
    d_noise.resize(batch, stride);
    for (std::size_t b = 0; b < batch; b++)
        for (std::size_t i = 0; i < stride; i++) {
            // The noise given for an unmeasured element may be anything.
            const bool given = stride > 1 && measured(i);
            const float nv = given ? d_slots[b].noise_at(i) : d_slots[b].info.noise_var;
            d_noise.item(b)[i] = float(std::sqrt(nv / d_slots[b].power));
        }
}

// One step of expectation maximisation (Dempster, Laird and Rubin 1977) for a factor of each item's noise: given y,
// n = y - x has the mean square |y - D|^2 + v, v the variance of the posterior.
void Estimator::Impl::update_noise()
{
    SamplerRun& run = *d_run;
    begin_at_measurement();
    run.levels.prepare(d_plan, d_start, d_plan.sigma_max(), 1);
    run.levels.get(0, run.now);
    run.evaluate(0);
    const std::size_t parts = run.x.width() / run.x.elements();
    for (std::size_t b = 0; b < d_slots.size(); b++) {
        double sum = 0;
        for (std::size_t i = 0; i < d_n; i++) {
            if (!measured(i))
                continue;
            double square = run.variance[b * d_n + i];
            for (std::size_t j = parts * i; j < parts * (i + 1); j++) {
                const double n = double(d_y.item(b)[j]) - run.estimate.mean.item(b)[j];
                square += n * n;
            }
            sum += square / (double(d_noise.at(b, i)) * d_noise.at(b, i));
        }
        Item updated = d_slots[b];
        const float factor = float(sum / double(d_measured));
        updated.noise_factor *= factor;
        updated.info.noise_var *= factor;
        // What the model makes of nonsense is the sampler's to report: the noise stays as it is.
        if (usable_noise(updated.info.noise_var) && measure_gain(updated)) {
            d_slots[b] = updated;
            normalise(b);
        }
    }
    set_levels();
}

// The measurement is the state, each element at its own level.
void Estimator::Impl::begin_at_measurement()
{
    SamplerRun& run = *d_run;
    const SamplerEntry& sampler = *d_impl.sampler;
    const bool fixed = d_impl.start->needs_sigma; // at a level that does not depend on the noise
    const bool each =
        !d_all_measured || (d_noise.per_element() && d_impl.prior->traits().tensor_sigma && !fixed);
    const bool noisy = !d_all_measured && (sampler.stochastic || d_eta > 0);
    const float top = d_plan.sigma_max();
    const std::size_t parts = run.x.width() / run.x.elements();
    std::copy(d_y.data(), d_y.data() + d_y.size(), run.x.data());
    d_start.resize(d_slots.size(), each ? d_n : 1);
    for (std::size_t b = 0; b < d_slots.size(); b++) {
        // A model of one level is told the root of the mean noise power.
        const float whole = fixed ? d_impl.start_sigma
                                  : float(std::sqrt(d_slots[b].info.noise_var / d_slots[b].power));
        if (!each) {
            d_start.item(b)[0] = whole;
            continue;
        }
        // Unmeasured elements: unknown to what seeks the mean, pure noise to what draws.
        if (noisy)
            run.rng.fill(run.items[b], 0, run.x.domain(), d_n, run.noise.data());
        for (std::size_t i = 0; i < d_n; i++) {
            if (measured(i)) {
                d_start.item(b)[i] = fixed ? whole : d_noise.at(b, i);
                continue;
            }
            d_start.item(b)[i] = sampler.seeks_mean ? Sigma::unobserved() : top;
            for (std::size_t j = parts * i; noisy && j < parts * (i + 1); j++)
                run.x.item(b)[j] = top * run.noise[j];
        }
    }
}

// Noise, alone or on a coarse estimate; the measurement stays with the posterior denoiser.
void Estimator::Impl::begin_in_noise()
{
    SamplerRun& run = *d_run;
    const bool coarse = d_impl.start->needs_sigma;
    const float level = coarse ? d_impl.start_sigma : d_plan.sigma_max();
    const std::size_t batch = d_slots.size();
    d_start.resize(batch, 1);
    if (coarse && d_op->observed()) {
        d_op->adjoint(d_y, run.x); // y itself
    } else if (coarse) {           // linear MMSE under a white prior
        d_zero.set_batch(batch);
        std::fill(d_zero.data(), d_zero.data() + d_zero.size(), 0.0f);
        d_op->proximal(d_y, d_noise, d_zero, d_unit, run.x, d_scratch.data());
    } else {
        std::fill(run.x.data(), run.x.data() + run.x.size(), 0.0f);
    }
    for (std::size_t b = 0; b < batch; b++) {
        // What seeks the mean starts from the mean of pure noise: nothing known, and no dice.
        const bool nothing = d_impl.sampler->seeks_mean && !coarse;
        d_start.item(b)[0] = nothing ? Sigma::unobserved() : level;
        if (nothing)
            continue;
        run.rng.fill(run.items[b], 0, run.x.domain(), d_n, run.noise.data());
        for (std::size_t j = 0; j < run.x.width(); j++)
            run.x.item(b)[j] += level * run.noise[j];
    }
}

// Result of one slot in the units of y; false where it is not finite.
bool Estimator::Impl::finish(std::size_t slot, Item& item)
{
    const SamplerRun& run = *d_run;
    const float gain = item.info.gain;
    double power = 0;
    for (std::size_t i = 0; i < d_n; i++) {
        item.mean[i] = d_impl.info.complex_domain ? gain * run.x.citem(slot)[i]
                                                  : cfloat(gain * run.x.item(slot)[i], 0.0f);
        power += square(item.mean[i]);
    }
    if (!std::isfinite(power))
        return false;
    if (item.variance && run.has_variance)
        for (std::size_t i = 0; i < d_n; i++)
            item.variance[i] = float(run.variance[slot * d_n + i] * item.power);
    else if (item.variance)
        classical_variance(item);
    item.info.steps = d_updates + evaluations(*d_impl.sampler, run.levels.steps(slot));
    item.info.planned =
        d_impl.noise_updates + evaluations(*d_impl.sampler, run.levels.planned(slot));
    if (item.out) {
        item.info.residual = residual(item);
        *item.out = item.info;
    }
    return true;
}

// The classical answer: A^H y. With an empty reason it is what the scheme asks for (`ls`).
void Estimator::Impl::bypass(Item& item, const char* reason)
{
    if (d_op->observed()) {
        for (std::size_t i = 0; i < d_n; i++)
            item.mean[i] = measured(i) ? item.y[i] : cfloat(0.0f, 0.0f);
    } else {
        const cfloat* a = d_op->matrix();
        std::fill(item.mean, item.mean + d_n, cfloat(0.0f, 0.0f));
        for (std::size_t r = 0; r < d_m; r++)
            for (std::size_t i = 0; i < d_n; i++)
                item.mean[i] += std::conj(a[r * d_n + i]) * item.y[r];
    }
    if (item.variance)
        classical_variance(item);
    item.info.steps = 0;
    item.info.gain = 1;
    item.info.bypassed = *reason != '\0';
    item.info.reason = reason;
    if (item.out)
        *item.out = item.info;
}

void Estimator::Impl::classical_variance(const Item& item) const
{
    for (std::size_t i = 0; i < d_n; i++)
        item.variance[i] = d_op->observed() && measured(i)
                               ? item.noise_at(i)
                               : std::numeric_limits<float>::quiet_NaN();
}

float Estimator::Impl::residual(const Item& item)
{
    double sum = 0;
    const cfloat* a = d_op->matrix();
    for (std::size_t r = 0; r < d_m; r++) {
        if (!measured(r))
            continue;
        cfloat seen = a ? cfloat(0.0f, 0.0f) : item.mean[r];
        for (std::size_t i = 0; a && i < d_n; i++)
            seen += a[r * d_n + i] * item.mean[i];
        sum += square(item.y[r] - seen);
    }
    return float(sum / double(d_measured) / item.info.noise_var);
}

} // namespace core
} // namespace diffsem
} // namespace gr
