/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <gnuradio/diffsem/core/condition.h>
#include <gnuradio/diffsem/core/scheme.h>

#include "scheme_impl.h"

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

int evaluations(const SamplerEntry& sampler, int steps)
{
    return steps < 1 ? 0 : sampler.last_evaluations + (steps - 1) * sampler.step_evaluations;
}

} // namespace

class Estimator::Impl
{
public:
    Impl(std::shared_ptr<const Scheme> scheme, const EstimatorOptions& options);
    void set_observed(const std::vector<std::uint8_t>& observed);
    void set_steps(int steps);
    void run(const cfloat* y,
             std::size_t items,
             const float* noise_var,
             std::size_t noise_stride,
             std::uint64_t first,
             cfloat* mean,
             float* variance,
             ItemInfo* info);

    std::shared_ptr<const Scheme> d_scheme;
    const SchemeImpl& d_impl;
    EstimatorOptions d_options;
    float d_eta;
    std::size_t d_n = 0, d_m = 0;

private:
    // One item of a call to run(), and what is known of it before inference.
    struct Item {
        const cfloat* y;
        const float* noise;
        std::size_t noise_stride;
        cfloat* mean;
        float* variance;
        ItemInfo info;
        ItemInfo* out;
        double power; // y was divided by its root
        float noise_at(std::size_t i) const { return noise[noise_stride == 1 ? 0 : i]; }
    };

    void build();
    void warm_up();
    bool admit(Item& item, std::uint64_t index);
    void infer();
    void begin_state();
    void begin_element_levels(std::size_t slot, const Item& item, float fixed);
    bool finish(std::size_t slot, Item& item);
    void bypass(Item& item, const char* reason);
    void classical_variance(const Item& item) const;
    float residual(const Item& item);
    void flush();

    bool measured(std::size_t i) const { return !d_mask || d_mask[i]; }

    std::shared_ptr<const Operator> d_op;
    const std::uint8_t* d_mask = nullptr; // of d_op; null where everything is measured
    std::unique_ptr<SamplerRun> d_run;
    PosteriorDenoiser* d_posterior = nullptr; // of d_run, where the start leaves the measurement
    Plan d_plan{PlanParameters()};
    double d_matrix_power = 1; // mean |A x|^2 for a white unit-power x
    std::size_t d_measured = 0;
    bool d_all_measured = false;
    Tensor d_y, d_ax, d_zero;
    Sigma d_noise, d_start, d_unit;
    std::vector<cfloat> d_scratch;
    std::vector<Item> d_slots;
};

Estimator::Impl::Impl(std::shared_ptr<const Scheme> scheme, const EstimatorOptions& options)
    : d_scheme(std::move(scheme)),
      d_impl(d_scheme->impl()),
      d_options(options),
      d_eta(options.eta >= 0 ? options.eta : d_impl.eta)
{
    const SchemeInfo& info = d_impl.info;
    d_n = d_scheme->item_size();
    if (!d_n)
        d_n = options.item_size ? options.item_size : options.observed.size();
    if (!d_n)
        throw Error("scheme '" + info.spec +
                    "' takes vectors of any length: give the vector length");
    if (options.item_size && options.item_size != d_n)
        throw Error("vector length = " + std::to_string(options.item_size) + ": scheme '" +
                    info.spec + "' works on vectors of " + std::to_string(d_n) +
                    "; set the vector length to that, or choose another scheme");
    if (!options.max_batch || options.max_batch > 65536)
        throw Error("max_batch = " + std::to_string(options.max_batch) + " must lie in 1 .. 65536");
    if (options.eta > 1)
        throw Error("eta = " + std::to_string(options.eta) + " must lie in 0 .. 1");
    if (!options.matrix.empty() && info.op != "matrix")
        throw Error("a measurement matrix was given, but scheme '" + info.spec +
                    "' has the operator '" + info.op +
                    "': leave the matrix out, or choose a scheme with the operator 'matrix'");
    set_steps(options.steps);
    build();
}

void Estimator::Impl::set_steps(int steps)
{
    // one_step takes one, whatever the plan would offer others.
    const int wanted = d_impl.sampler->step_evaluations == 0 ? 1
                       : steps > 0                           ? std::min(steps, 10000)
                                                             : d_impl.plan.parameters().steps;
    d_plan = d_impl.plan.with_steps(wanted);
    if (d_run)
        d_run->levels.reserve(d_options.max_batch, d_n, d_plan.max_steps());
}

void Estimator::Impl::set_observed(const std::vector<std::uint8_t>& observed)
{
    if (d_impl.info.op == "matrix")
        throw Error(
            "observed elements cannot be chosen for the operator 'matrix': give the rows of "
            "the matrix instead");
    std::vector<std::uint8_t> before = observed;
    before.swap(d_options.observed);
    try {
        build();
    } catch (...) { // leave as it was what cannot be changed
        d_options.observed.swap(before);
        build();
        throw;
    }
}

void Estimator::Impl::build()
{
    const SchemeInfo& info = d_impl.info;
    const auto& o = d_options.observed;
    if (!o.empty() && o.size() != d_n)
        throw Error("observed has " + std::to_string(o.size()) + " elements, the vectors have " +
                    std::to_string(d_n));
    if (info.op == "matrix") {
        if (!o.empty())
            throw Error(
                "observed cannot be combined with the operator 'matrix': leave rows out instead");
        const bool given = !d_options.matrix.empty();
        const auto& a = given ? d_options.matrix : d_impl.matrix;
        if (a.empty())
            throw Error("scheme '" + info.spec + "' needs a measurement matrix of M x " +
                        std::to_string(d_n));
        const std::size_t rows = given ? d_options.matrix_rows : d_impl.matrix_rows;
        d_op = make_matrix_operator(a, rows, d_n);
        double sum = 0;
        for (const auto& v : a)
            sum += std::norm(v);
        d_matrix_power = sum / double(rows);
        if (!(d_matrix_power > 0))
            throw Error("the measurement matrix is zero");
    } else if (!o.empty()) {
        d_op = make_mask_operator(o);
    } else {
        d_op = make_identity_operator(d_n);
    }
    d_m = d_op->rows();
    d_measured = d_m;
    if (d_op->observed())
        d_measured = std::size_t(std::count_if(
            d_op->observed(), d_op->observed() + d_n, [](std::uint8_t v) { return v; }));
    d_all_measured = d_measured == d_m;
    d_mask = d_all_measured ? nullptr : d_op->observed();
    if (d_impl.prior && d_impl.start->consumes_measurement && !d_all_measured &&
        !d_impl.prior->traits().tensor_sigma)
        throw Error("scheme '" + info.spec +
                    "': its model takes one noise level for the whole item, so "
                    "start '" +
                    info.start + "' cannot mark " + std::to_string(d_m - d_measured) +
                    " unmeasured elements: use start=noise, measure all elements, or train a model "
                    "with a level for every element");

    const std::size_t batch = d_options.max_batch;
    d_slots.clear();
    d_slots.reserve(batch);
    d_ax = Tensor(Domain::complex, {std::int64_t(d_m)}, 1);
    if (!d_impl.prior)
        return;
    const Traits& traits = d_impl.prior->traits();
    std::shared_ptr<const Denoiser> denoiser = d_impl.prior;
    d_posterior = nullptr;
    if (!d_impl.start->consumes_measurement) {
        auto posterior = std::make_shared<PosteriorDenoiser>(d_impl.prior, d_op);
        d_posterior = posterior.get();
        denoiser = posterior;
    }
    d_run = std::make_unique<SamplerRun>(denoiser, info.shape, batch);
    d_run->levels.reserve(batch, d_n, d_plan.max_steps());
    d_run->items.reserve(batch);
    d_y = Tensor(traits.domain, {std::int64_t(d_m)}, batch);
    d_zero = Tensor(traits.domain, {std::int64_t(d_n)}, batch);
    d_noise = Sigma(batch, d_m);
    d_start = Sigma(batch, d_n);
    d_unit = Sigma(batch, 1, 1.0f);
    d_scratch.resize(d_op->scratch_size());
    warm_up();
}

// One item with two steps: touches every buffer, fills caches, and lets a model fail here.
void Estimator::Impl::warm_up()
{
    const Plan plan = d_plan;
    if (d_impl.sampler->step_evaluations > 0)
        d_plan = d_plan.with_steps(2);
    const std::vector<cfloat> y(d_m, cfloat(0.8f, 0.6f));
    std::vector<cfloat> mean(d_n);
    std::vector<float> variance(d_n);
    const float noise = 0.1f;
    Item item{y.data(), &noise, 1, mean.data(), variance.data(), {}, nullptr, 1};
    admit(item, 0);
    try {
        infer();
    } catch (const std::exception& e) {
        throw Error("scheme '" + d_impl.info.spec + "': a trial run failed: " + e.what());
    }
    d_slots.clear();
    d_plan = plan;
}

void Estimator::Impl::run(const cfloat* y,
                          std::size_t items,
                          const float* noise_var,
                          std::size_t noise_stride,
                          std::uint64_t first,
                          cfloat* mean,
                          float* variance,
                          ItemInfo* info)
{
    for (std::size_t b = 0; b < items; b++) {
        Item item{y + b * d_m,
                  noise_var + b * noise_stride,
                  noise_stride,
                  mean + b * d_n,
                  variance ? variance + b * d_n : nullptr,
                  {},
                  info ? info + b : nullptr,
                  1};
        if (admit(item, first + b) && d_slots.size() == d_options.max_batch)
            flush();
    }
    flush();
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
    if (d_impl.info.measured_gain) {
        // The floor is one standard deviation of the mean noise power: docs/model_contract.md.
        item.power =
            std::max(power - noise, noise / std::sqrt(double(d_measured))) / d_matrix_power;
        if (!(item.power > 1e-36) || !std::isfinite(item.power)) {
            bypass(item, "power");
            return false;
        }
    }
    item.info.gain = float(std::sqrt(item.power));

    const std::size_t slot = d_slots.size();
    d_slots.push_back(item);
    d_run->items.resize(slot + 1);
    d_run->items[slot] = index;
    d_y.set_batch(slot + 1);
    const float scale = float(1.0 / std::sqrt(item.power));
    if (d_impl.info.complex_domain)
        for (std::size_t i = 0; i < d_m; i++)
            d_y.citem(slot)[i] = measured(i) ? scale * item.y[i] : cfloat(0.0f, 0.0f);
    else
        for (std::size_t i = 0; i < d_m; i++)
            d_y.item(slot)[i] = measured(i) ? scale * item.y[i].real() : 0.0f;
    return true;
}

void Estimator::Impl::flush()
{
    if (d_slots.empty())
        return;
    const char* failure = nullptr;
    try {
        infer();
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

void Estimator::Impl::infer()
{
    const std::size_t batch = d_slots.size();
    SamplerRun& run = *d_run;
    const std::size_t stride = d_slots.front().noise_stride == 1 ? 1 : d_m;
    d_noise.resize(batch, stride);
    for (std::size_t b = 0; b < batch; b++)
        for (std::size_t i = 0; i < stride; i++) {
            // The noise given for an unmeasured element may be anything.
            const bool given = stride > 1 && measured(i);
            const float nv = given ? d_slots[b].noise_at(i) : d_slots[b].info.noise_var;
            d_noise.item(b)[i] = float(std::sqrt(nv / d_slots[b].power));
        }
    if (d_posterior)
        d_posterior->measure(d_y, d_noise);
    run.rng = Rng(d_options.seed ? d_options.seed : d_impl.seed, d_options.stream);
    run.eta = d_eta;
    begin_state();
    run.levels.prepare(d_plan, d_start, d_plan.sigma_max());
    d_impl.sampler->run(run);
}

// The state and its levels, by the start.
void Estimator::Impl::begin_state()
{
    SamplerRun& run = *d_run;
    const StartEntry& start = *d_impl.start;
    const SamplerEntry& sampler = *d_impl.sampler;
    const std::size_t batch = d_slots.size();
    const bool noisy = sampler.stochastic || d_eta > 0;
    const float top = d_plan.sigma_max();
    run.x.set_batch(batch);

    if (start.consumes_measurement) {
        const bool each =
            !d_all_measured ||
            (d_noise.per_element() && d_impl.prior->traits().tensor_sigma && !start.needs_sigma);
        d_start.resize(batch, each ? d_n : 1);
        std::copy(d_y.data(), d_y.data() + d_y.size(), run.x.data());
        const std::size_t parts = run.x.width() / run.x.elements();
        for (std::size_t b = 0; b < batch; b++) {
            if (noisy && !d_all_measured)
                run.rng.fill(run.items[b], 0, run.x.domain(), d_n, run.noise.data());
            // A model of one level is told the root of the mean noise power.
            const float level =
                start.needs_sigma ? d_impl.start_sigma
                                  : float(std::sqrt(d_slots[b].info.noise_var / d_slots[b].power));
            if (!each)
                d_start.item(b)[0] = level;
            for (std::size_t i = 0; each && i < d_n; i++) {
                const bool seen = measured(i);
                d_start.item(b)[i] = seen ? (start.needs_sigma ? level : d_noise.at(b, i))
                                          : (sampler.seeks_mean ? Sigma::unobserved() : top);
                for (std::size_t j = parts * i; !seen && noisy && j < parts * (i + 1); j++)
                    run.x.item(b)[j] = top * run.noise[j];
            }
        }
        return;
    }

    const float level = start.needs_sigma ? d_impl.start_sigma : top;
    d_start.resize(batch, 1);
    d_zero.set_batch(batch);
    std::fill(run.x.data(), run.x.data() + run.x.size(), 0.0f);
    if (start.needs_sigma) { // a coarse estimate: y itself, or linear MMSE under a white prior
        if (d_op->observed())
            d_op->adjoint(d_y, run.x);
        else {
            std::fill(d_zero.data(), d_zero.data() + d_zero.size(), 0.0f);
            d_op->proximal(d_y, d_noise, d_zero, d_unit, run.x, d_scratch.data());
        }
    }
    for (std::size_t b = 0; b < batch; b++) {
        // What seeks the mean starts from the mean of pure noise: nothing known, and no dice.
        const bool nothing = sampler.seeks_mean && !start.needs_sigma;
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
    item.info.steps = evaluations(*d_impl.sampler, run.levels.steps(slot));
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

Estimator::Estimator(std::shared_ptr<const Scheme> scheme, const EstimatorOptions& options)
{
    if (!scheme)
        throw Error("no scheme was given");
    d = std::make_unique<Impl>(std::move(scheme), options);
}

Estimator::~Estimator() = default;

void Estimator::run(const cfloat* y,
                    std::size_t items,
                    const float* noise_var,
                    std::size_t noise_stride,
                    std::uint64_t first,
                    cfloat* mean,
                    float* variance,
                    ItemInfo* info)
{
    d->run(y, items, noise_var, noise_stride, first, mean, variance, info);
}

void Estimator::set_steps(int steps)
{
    d->set_steps(steps);
}
void Estimator::set_eta(float eta)
{
    d->d_eta = eta >= 0 ? std::min(eta, 1.0f) : d->d_impl.eta;
}
void Estimator::set_seed(std::uint64_t seed)
{
    d->d_options.seed = seed;
}
void Estimator::set_observed(const std::vector<std::uint8_t>& observed)
{
    d->set_observed(observed);
}
const Scheme& Estimator::scheme() const
{
    return *d->d_scheme;
}
std::size_t Estimator::input_size() const
{
    return d->d_m;
}
std::size_t Estimator::output_size() const
{
    return d->d_n;
}

} // namespace core
} // namespace diffsem
} // namespace gr
