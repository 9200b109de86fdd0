/*
 * SPDX-License-Identifier: GPL-3.0-or-later
 *
 * The way of one batch: check and normalise each item, make state and levels, sample, undo the
 * normalisation. Nothing here allocates, and nothing throws to the caller.
 */
#include "infer/estimator_impl.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <limits>

namespace gr {
namespace diffsem {
namespace core {

namespace {

constexpr float absurd_noise = 1e30f; // beyond it squares overflow float

double square(const float* v, std::size_t parts)
{
    return double(v[0]) * v[0] + (parts == 2 ? double(v[1]) * v[1] : 0.0);
}

} // namespace

// Of a measured element. What takes exact measurements takes nearly exact and nearly lost ones too.
bool Estimator::Impl::usable(float v) const
{
    return d_op->takes_exact() ? v >= 0 && v < Sigma::unobserved()
                               : v >= std::numeric_limits<float>::min() && v <= absurd_noise;
}

void Estimator::Impl::run(const Call& call, const RunLimit& limit)
{
    if (!d_op)
        throw Error("scheme '" + d_info.spec + "': give its operator first (set_operator)");
    for (std::size_t b = 0; b < call.items; b++) {
        Item item{};
        item.y = call.y + b * call.y_step;
        item.in_parts = call.in_parts;
        item.noise = call.noise_var + b * call.noise_step;
        item.noise_stride = call.noise_stride;
        item.mean = call.mean + b * d_n * call.in_parts;
        item.variance = call.variance ? call.variance + b * d_n : nullptr;
        item.out = call.info ? call.info + b : nullptr;
        item.place = b;
        item.index = call.first + b;
        item.drawing = call.y_step == 0;
        if (limit.evaluations == 0 && d_parts.prior && !d_linear_start) {
            item.info.noise_var = item.noise_at(0);
            bypass(item, limit.reason);
        } else {
            take(item);
            if (full())
                flush(limit);
        }
    }
    flush(limit);
    end_run();
}

void Estimator::Impl::take(Item& item)
{
    if (!few(item))
        admit(item);
    else if (item.info.few_observed = true; !pass_on(item)) {
        item.info.noise_var = item.noise_at(0);
        bypass(item, "few observed");
    }
}

// Whether it takes no item more, or what it has handed on does not.
bool Estimator::Impl::full() const
{
    return d_slots.size() == d_batch || (d_fallback && d_fallback->full());
}

int Estimator::Impl::max_evaluations() const
{
    const int calls = evaluations(*d_parts.sampler, d_plan, d_plan.max_steps());
    return d_parts.prior ? d_each * (d_parts.noise_updates + calls) : 0;
}

// Checks and normalises one item into the next slot, or answers it without inference.
void Estimator::Impl::admit(Item& item)
{
    double noise = 0, power = 0;
    bool good_noise = true;
    if (item.noise_stride == 1 && nothing_measured(item)) {
        noise = item.noise[0]; // y may be anything: the answer is the prior's own
    } else if (item.noise_stride == 1) {
        item.measured = d_measured;
        noise = item.noise[0];
        good_noise = usable(item.noise[0]);
        for (std::size_t j = 0; j < item.in_parts * d_m; j++)
            if (!d_mask || d_mask[j / item.in_parts])
                power += double(item.y[j]) * item.y[j];
    } else {
        for (std::size_t i = 0; i < d_m; i++) {
            if (!measured(i) || (d_takes_lost && item.noise[i] == Sigma::unobserved()))
                continue; // y may be anything there
            item.measured++;
            good_noise = good_noise && usable(item.noise[i]);
            noise += item.noise[i];
            power += square(item.y + i * item.in_parts, item.in_parts);
        }
        noise /= double(std::max<std::size_t>(item.measured, 1));
    }
    power /= double(std::max<std::size_t>(item.measured, 1));
    item.info.noise_var = item.measured ? float(noise) : Sigma::unobserved();
    if (!item.measured && d_info.measured_gain) { // nothing that could say what the gain is
        bypass(item, "noise");
        return;
    }
    // Squares of floats cannot overflow a double: the sum is finite if every element is.
    if (!std::isfinite(power) || !good_noise) {
        bypass(item, std::isfinite(power) ? "noise" : "nan");
        return;
    }
    if (!d_parts.prior && !d_linear_start) { // least squares
        bypass(item, "");
        return;
    }
    item.seen = power;
    if (!measure_gain(item)) {
        bypass(item, "power");
        return;
    }
    const std::size_t slot = d_slots.size();
    d_slots.push_back(item);
    d_run->items.resize(slot + 1);
    d_run->items[slot] = item.index;
    d_y.set_batch(slot + 1);
    d_run->x.set_batch(slot + 1);
    normalise(slot);
    tell(slot, item);
}

// False, and nothing changed, where no usable power is left beside the noise.
bool Estimator::Impl::measure_gain(Item& item) const
{
    if (d_info.measured_gain) {
        // The floor is one standard deviation of the mean noise power: docs/model_contract.md.
        const double noise = item.info.noise_var;
        const double power =
            std::max(item.seen - noise, noise / std::sqrt(double(item.measured))) / d_op->power();
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
    float* to = d_y.item(slot);
    if (item.in_parts == d_parts_of_x && item.measured == d_m) {
        for (std::size_t j = 0; j < d_parts_of_x * d_m; j++)
            to[j] = scale * item.y[j];
        return;
    }
    for (std::size_t i = 0; i < d_m; i++)
        for (std::size_t j = 0; j < d_parts_of_x; j++)
            to[d_parts_of_x * i + j] =
                measured(item, i) ? scale * item.y[item.in_parts * i + j] : 0.0f;
}

void Estimator::Impl::flush(const RunLimit& limit)
{
    if (d_fallback) // what was handed on unseen: the whole limit is its own
        d_fallback->flush(limit);
    if (d_slots.empty())
        return;
    const char* failure = nullptr;
    const bool cut =
        limit.evaluations == 0 && d_parts.prior; // only where the start itself is an answer
    try {
        // What fits into the evaluations: the last step always, updates of the noise, other steps.
        const SamplerEntry& s = *d_parts.sampler;
        const int calls = limit.evaluations / d_each;
        const int spare = std::max(calls - evaluations(s, d_plan, 1), 0);
        d_run->stop = limit.stop;
        if (cut)
            failure = limit.reason;
        else if (limit.evaluations < 0 || !d_parts.prior)
            infer(0, d_parts.noise_updates);
        else {
            const int updates = std::min(spare, d_parts.noise_updates);
            const int steps =
                s.step_evaluations > 0 ? 1 + (spare - updates) / s.step_evaluations : 1;
            infer(drawing() ? std::max(steps, least_draw_levels) : steps, updates);
        }
    } catch (const std::exception&) {
        failure = "inference";
    }
    // The fallback's last step at least: something has to be answered.
    const int taken = d_each * evaluations(*d_parts.sampler, d_plan, d_run->levels.steps());
    const int left = limit.evaluations < 0 ? -1 : std::max(limit.evaluations - taken, 1);
    for (std::size_t slot = 0; slot < d_slots.size(); slot++) {
        Item& item = d_slots[slot];
        if (!failure && d_info.guard && contradicted(item, slot)) { // the mean may lie where y does
            fall_back(slot, item);
            if (d_fallback && d_fallback->full())
                d_fallback->flush({left, limit.reason, limit.stop});
        } else if (failure || !finish(slot, item))
            bypass(item, failure ? failure : d_linear_start ? "not finite" : "inference");
    }
    if (d_fallback)
        d_fallback->flush({left, limit.reason, limit.stop});
    d_slots.clear();
}

Rng Estimator::Impl::random() const
{
    const std::uint64_t seed = d_options.seed ? d_options.seed : d_parts.seed;
    return Rng(seed, d_options.stream + (seed ? 0 : d_options.unseeded_stream));
}

void Estimator::Impl::infer(int most_steps, int noise_updates)
{
    using clock = std::chrono::steady_clock;
    SamplerRun& run = *d_run;
    run.rng = random();
    run.eta = d_eta;
    set_levels();
    for (d_updates = 0; d_updates < noise_updates; d_updates++)
        update_noise();
    if (d_posterior)
        d_posterior->measure(d_y, d_noise);
    if (d_linear_start)
        begin_at_linear_answer();
    else if (d_parts.start->consumes_measurement)
        begin_at_measurement();
    else
        begin_in_noise();
    const auto began = clock::now();
    if (run.denoiser) {
        run.levels.prepare(d_plan, d_start, d_plan.sigma_max(), most_steps);
        d_parts.sampler->run(run);
        const PlanParameters& p = d_plan.parameters();
        const float rest = p.vp_end ? 1 / std::sqrt(1 + std::pow(p.unit * p.end, 2.0f)) : 1.0f;
        for (std::size_t j = 0; rest != 1.0f && j < run.x.size(); j++)
            run.x.data()[j] *= rest;
    }
    d_seconds = std::chrono::duration<double>(clock::now() - began).count();
    if (d_plan.parameters().realism > 0)
        draw_nearest();
}

// The noise of the batch, relative to its signals.
void Estimator::Impl::set_levels()
{
    const std::size_t batch = d_slots.size();
    const std::size_t stride = d_slots.front().noise_stride == 1 ? 1 : d_m;
    d_noise.resize(batch, stride);
    for (std::size_t b = 0; b < batch; b++) {
        const float power = float(d_slots[b].power);
        for (std::size_t i = 0; i < stride; i++) {
            // The noise given for an unmeasured element may be anything; that of a lost one is infinite.
            const bool given = stride > 1 && measured(i);
            const float nv = given ? d_slots[b].noise_at(i) : d_slots[b].info.noise_var;
            d_noise.item(b)[i] = std::sqrt(nv / power);
        }
    }
}

// One step of expectation maximisation (Dempster, Laird and Rubin 1977) for a factor of each item's noise: given y,
// n = y - x has the mean square |y - D|^2 + v, v the variance of the posterior.
void Estimator::Impl::update_noise()
{
    SamplerRun& run = *d_run;
    begin_at_measurement();
    run.levels.prepare(d_plan, d_start, d_plan.sigma_max(), 1);
    run.levels.now(0, run.now);
    run.evaluate(0);
    const std::size_t parts = run.x.width() / run.x.elements();
    for (std::size_t b = 0; b < d_slots.size(); b++) {
        double sum = 0;
        for (std::size_t i = 0; i < d_n; i++) {
            if (!measured(d_slots[b], i))
                continue;
            double square = run.variance[b * d_n + i];
            for (std::size_t j = parts * i; j < parts * (i + 1); j++) {
                const double n = double(d_y.item(b)[j]) - run.estimate.mean.item(b)[j];
                square += n * n;
            }
            sum += square / (double(d_noise.at(b, i)) * d_noise.at(b, i));
        }
        Item updated = d_slots[b];
        const float factor = float(sum / double(std::max<std::size_t>(d_slots[b].measured, 1)));
        updated.noise_factor *= factor;
        updated.info.noise_var *= factor;
        // What the model makes of nonsense is the sampler's to report: the noise stays as it is.
        if (usable(updated.info.noise_var) && measure_gain(updated)) {
            d_slots[b] = updated;
            normalise(b);
        }
    }
    set_levels();
}

// One item in the units of y, from a tensor of the domain into memory that has complex numbers or not.
void Estimator::Impl::write_mean(const float* from, float gain, Item& item) const
{
    if (item.in_parts == d_parts_of_x) {
        for (std::size_t j = 0; j < d_parts_of_x * d_n; j++)
            item.mean[j] = gain * from[j];
        return;
    }
    for (std::size_t i = 0; i < d_n; i++)
        for (std::size_t j = 0; j < item.in_parts; j++)
            item.mean[item.in_parts * i + j] =
                j < d_parts_of_x ? gain * from[d_parts_of_x * i + j] : 0.0f;
}

// What inference has taken.
void Estimator::Impl::account(std::size_t slot, Item& item) const
{
    const SamplerRun& run = *d_run;
    if (!run.denoiser)
        return;
    const SamplerEntry& sampler = *d_parts.sampler;
    const int taken = d_updates + evaluations(sampler, d_plan, run.levels.steps(slot));
    const int planned =
        d_parts.noise_updates + evaluations(sampler, d_plan, run.levels.planned(slot));
    item.info.steps = item.spent + d_each * taken;
    item.info.planned = item.spent_planned + d_each * planned;
    item.info.seconds = item.spent_seconds + d_seconds;
}

// Result of one slot in the units of y; false where it is not finite.
bool Estimator::Impl::finish(std::size_t slot, Item& item)
{
    const SamplerRun& run = *d_run;
    write_mean(run.x.item(slot), item.info.gain, item);
    double power = 0;
    for (std::size_t j = 0; j < item.in_parts * d_n; j++)
        power += double(item.mean[j]) * item.mean[j];
    if (!std::isfinite(power))
        return false;
    if (item.variance && run.has_variance)
        for (std::size_t i = 0; i < d_n; i++)
            item.variance[i] = float(run.variance[slot * d_n + i] * item.power);
    else if (item.variance) // what nobody says is not known
        std::fill_n(item.variance, d_n, std::numeric_limits<float>::quiet_NaN());
    account(slot, item);
    remember(slot);
    if (item.out) {
        if (d_options.residual)
            item.info.residual = residual(item, slot);
        *item.out = item.info;
    }
    return true;
}

// The classical answer. With an empty reason it is what the scheme asks for (`ls`).
void Estimator::Impl::bypass(Item& item, const char* reason)
{
    const bool linear = d_linear_start && d_slots.size() == 1 && spectrum(); // it was admitted
    if (linear) {
        set_levels();
        begin_at_linear_answer();
        write_mean(d_run->x.item(0), item.info.gain, item);
    } else if (d_op->keeps_elements_apart() && item.in_parts == d_parts_of_x) { // no need of a copy
        std::copy(item.y, item.y + item.in_parts * d_n, item.mean);
        if (d_mask || item.noise_stride > 1)
            for (std::size_t j = 0; j < item.in_parts * d_n; j++)
                if (!measured(j / item.in_parts) || lost(item, j / item.in_parts))
                    item.mean[j] = 0.0f;
    } else {
        d_raw_y.set_batch(1);
        d_raw_x.set_batch(1);
        for (std::size_t i = 0; i < d_m; i++)
            for (std::size_t j = 0; j < d_parts_of_x; j++)
                d_raw_y.data()[d_parts_of_x * i + j] =
                    measured(i) && !lost(item, i) ? item.y[item.in_parts * i + j] : 0.0f;
        d_op->classical(d_raw_y, d_raw_x);
        write_mean(d_raw_x.data(), 1.0f, item);
    }
    if (item.drawing)
        classical_draw(item);
    if (item.variance && linear)
        std::copy(
            d_run->variance.begin(), d_run->variance.begin() + std::ptrdiff_t(d_n), item.variance);
    else if (item.variance)
        classical_variance(item);
    item.info.steps = item.spent;
    item.info.gain = 1;
    item.info.bypassed = *reason != '\0';
    item.info.reason = reason;
    if (item.out)
        *item.out = item.info;
}

void Estimator::Impl::classical_variance(const Item& item) const
{
    for (std::size_t i = 0; i < d_n; i++)
        item.variance[i] = d_op->keeps_elements_apart() && measured(i) && !lost(item, i)
                               ? item.noise_at(i)
                               : std::numeric_limits<float>::quiet_NaN();
}

float Estimator::Impl::residual(const Item& item, std::size_t slot)
{
    const double sum = item.missed >= 0
                           ? item.missed
                           : d_op->residual(d_y, d_noise, d_run->x, slot, d_scratch.data());
    const double noise = item.info.noise_var / item.power;
    return item.measured && noise > 0 ? float(sum / double(item.measured) / noise) : 0.0f;
}

} // namespace core
} // namespace diffsem
} // namespace gr
