/*
 * SPDX-License-Identifier: GPL-3.0-or-later
 *
 * The estimator is made here: what is wrong with its parameters fails here, and all memory is taken (of pictures, when the
 * first one says how large it is).
 */
#include "infer/estimator_impl.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <vector>

namespace gr {
namespace diffsem {
namespace core {

namespace {

constexpr int trials = 4;
constexpr double slow_trial = 0.1; // seconds: no more of them
constexpr std::size_t trial_batch = 8;
constexpr std::size_t trial_looks = 256; // observed elements of a trial, at most
constexpr float trial_noise = 0.1f;

} // namespace

Estimator::Impl::Impl(std::shared_ptr<const Scheme> scheme, const EstimatorOptions& options)
    : d_scheme(std::move(scheme)),
      d_info(d_scheme->info()),
      d_parts(d_scheme->parts()),
      d_options(options),
      d_codec(d_parts.codec),
      d_parts_of_x(d_info.complex_domain ? 2 : 1)
{
    if (d_codec) // one caller for each estimator that holds it
        d_codec->reserve(std::size_t(d_codec.use_count()));
    d_open = std::find(d_info.shape.begin(), d_info.shape.end(), -1) != d_info.shape.end();
    if (!options.max_batch || options.max_batch > 65536)
        throw Error("max_batch = " + std::to_string(options.max_batch) + " must lie in 1 .. 65536");
    set_eta(options.eta);
    if (options.noise_freedom != 0 && !d_info.guard)
        throw Error("noise_freedom = " + std::to_string(options.noise_freedom) + ": scheme '" +
                    d_info.spec + "' has no guard, which alone reads it: leave it 0");
    make_conditions();
    // Where an item is told the answer of the one before, they go one by one.
    d_batch = d_open || d_remembers ? 1 : options.max_batch;
    if (d_open) {
        if (options.item_size || !options.observed.empty() || !options.matrix.empty())
            throw Error("scheme '" + d_info.spec +
                        "' is of photographs, whose size and operator come with each: run it by "
                        "estimate_picture, or the block semantic_decoder");
        set_steps(options.steps);
        return;
    }
    d_n = d_scheme->item_size();
    if (!d_n)
        d_n = options.item_size ? options.item_size : options.observed.size();
    if (!d_n)
        throw Error("scheme '" + d_info.spec +
                    "' takes vectors of any length: give the vector length");
    if (options.item_size && options.item_size != d_n)
        throw Error("vector length = " + std::to_string(options.item_size) + ": scheme '" +
                    d_info.spec + "' works on vectors of " + std::to_string(d_n) +
                    "; set the vector length to that, or choose another scheme");
    set_steps(options.steps);
    set_noise_freedom(options.noise_freedom);
    build();
}

void Estimator::Impl::set_steps(int steps)
{
    // one_step takes one, whatever the plan would offer others, and so does a regression.
    const bool one = d_parts.sampler->step_evaluations == 0 || !d_parts.plan.parameters().final;
    const int most = d_parts.plan.measured() ? 1000 : 10000;
    if (steps < 0 || steps > most)
        throw Error("steps = " + std::to_string(steps) + " must lie in 1 .. " +
                    std::to_string(most) + ", or be 0 for the scheme's own");
    const int wanted = one ? 1 : steps > 0 ? steps : d_parts.plan.parameters().steps;
    d_plan = d_parts.plan.with_steps(wanted);
    if (d_run)
        d_run->levels.reserve(d_batch, d_n, d_plan.max_steps());
}

void Estimator::Impl::set_eta(float eta)
{
    if (std::isnan(eta) || eta > 1)
        throw Error("eta = " + std::to_string(eta) +
                    " must lie in 0 .. 1, or below 0 for the scheme's own");
    d_eta = eta >= 0 ? eta : d_parts.eta;
}

void Estimator::Impl::set_seed(std::uint64_t seed)
{
    d_options.seed = seed;
    if (d_fallback)
        d_fallback->set_seed(seed);
}

void Estimator::Impl::set_observed(const std::vector<std::uint8_t>& observed)
{
    std::vector<std::uint8_t> before = observed;
    before.swap(d_options.observed);
    try {
        build();
    } catch (...) { // the choice before holds on
        d_options.observed.swap(before);
        build();
        throw;
    }
}

void Estimator::Impl::build()
{
    OperatorInput input;
    input.size = d_n;
    input.measured_gain = d_info.measured_gain;
    input.observed = d_options.observed;
    input.matrix = d_options.matrix;
    input.matrix_rows = d_options.matrix_rows;
    try {
        take_operator(d_parts.make_operator(input));
    } catch (const Error& e) {
        throw Error("scheme '" + d_info.spec + "': " + e.what());
    }
    take_memory(d_info.shape.empty() ? std::vector<std::int64_t>{std::int64_t(d_n)} : d_info.shape);
    if (d_parts.prior)
        warm_up();
    d_fallback.reset();
    if (d_options.fallback_now)
        make_fallback();
}

void Estimator::Impl::set_operator(std::shared_ptr<const Operator> op,
                                   const std::vector<std::int64_t>& shape)
{
    const std::size_t n = shape.empty() ? d_n : element_count(shape);
    const OperatorEntry& own = *d_parts.op;
    const bool blocks = op && op->blocks().values; // a matrix of any kind
    bool fits = op && op->cols() == n &&
                (blocks || op->level_per_element() == own.needs_spectrum) &&
                (op->keeps_elements_apart() || (!blocks && op->level_per_element())) ==
                    own.measurement_is_state;
    fits = fits && (shape.empty() || shape.size() == d_info.shape.size());
    for (std::size_t i = 0; fits && i < shape.size(); i++)
        fits = d_info.shape[i] == -1 || d_info.shape[i] == shape[i];
    if (!fits)
        throw Error("scheme '" + d_info.spec + "' has the operator '" + d_info.op +
                    "': another one was given, or one of another size");
    bool resized = !d_op || n != d_n || op->rows() != d_m || (!shape.empty() && shape != d_shape);
    if (!resized && d_posterior)
        resized = !d_posterior->replace(op);
    if (resized) {
        d_tried = false;
        d_run.reset(); // its memory first
        d_op.reset();
    }
    d_n = n;
    take_operator(std::move(op));
    if (resized)
        take_memory(shape.empty() ? std::vector<std::int64_t>(d_shape) : shape);
}

void Estimator::Impl::set_context(const std::string& name, const float* values, std::size_t count)
{
    Unknown* place = d_context.find(name);
    if (!place)
        place = &d_context.add(name, nullptr, Tensor(), Sigma());
    if (place->x.elements() != count || place->x.domain() != Domain::real)
        place->x = Tensor(Domain::real, {std::int64_t(count)}, 1);
    std::copy(values, values + count, place->x.data());
}

void Estimator::Impl::take_operator(std::shared_ptr<const Operator> op)
{
    d_op = std::move(op);
    d_m = d_op->rows();
    const std::uint8_t* observed = d_op->observed();
    d_measured = observed ? std::size_t(std::count_if(
                                observed, observed + d_m, [](std::uint8_t v) { return v != 0; }))
                          : d_m;
    d_all_measured = d_measured == d_m;
    d_mask = d_all_measured ? nullptr : observed;
    const bool consumed = d_parts.start->consumes_measurement;
    d_linear_start = consumed && d_parts.op->needs_spectrum;
    d_takes_lost =
        d_linear_start || !consumed || (d_parts.prior && d_parts.prior->traits().tensor_sigma);
    if (d_parts.prior && consumed && !d_linear_start && !d_all_measured && !d_takes_lost)
        throw Error("its model takes one noise level for the whole item, so start '" +
                    d_info.start + "' cannot mark " + std::to_string(d_m - d_measured) +
                    " unmeasured elements: use start=noise, measure all elements, or train a model "
                    "with a level for every element");
}

void Estimator::Impl::take_memory(const std::vector<std::int64_t>& shape)
{
    d_shape = shape;
    d_slots.clear();
    d_slots.reserve(d_batch);
    const Domain domain = d_info.complex_domain ? Domain::complex : Domain::real;
    const std::vector<std::int64_t> of_y = {std::int64_t(d_m)};
    const std::size_t now = d_open ? 0 : 1; // a picture's memory is taken when it is needed
    d_raw_y = Tensor(domain, of_y, now);
    d_raw_x = Tensor(domain, shape, now);
    d_scratch.resize(d_op->scratch_size());
    if (!d_parts.prior && !d_linear_start)
        return; // least squares: nothing to run
    std::shared_ptr<const Denoiser> denoiser = d_parts.prior;
    d_posterior = nullptr;
    const PlanParameters& plan = d_parts.plan.parameters();
    const bool guided = !d_parts.start->consumes_measurement || (d_linear_start && plan.final);
    if (d_parts.prior && guided) {
        std::shared_ptr<PosteriorDenoiser> posterior;
        try {
            posterior = std::make_shared<PosteriorDenoiser>(
                d_parts.prior, d_op, plan.inflation, d_parts.guidance, d_parts.guidance_keys);
        } catch (const Error& e) {
            throw Error("scheme '" + d_info.spec + "': " + e.what());
        }
        d_posterior = posterior.get();
        denoiser = posterior;
    }
    d_each = denoiser ? denoiser->traits().evaluations : 1;
    d_run = std::make_unique<SamplerRun>(denoiser, domain, shape, d_batch);
    d_run->keys = &d_parts.sampler_keys;
    if (!d_open)
        d_run->reserve(d_batch);
    if (d_run->workspace)
        d_run->workspace->context = &d_context;
    d_run->levels.reserve(d_batch, d_n, d_plan.max_steps());
    d_run->items.reserve(d_batch);
    d_y = Tensor(domain, of_y, d_batch);
    d_zero = Tensor(domain, shape, d_open ? 0 : d_batch);
    d_noise = Sigma(d_batch, d_m);
    d_start = Sigma(d_batch, d_n);
    d_unit = Sigma(d_batch, 1, 1.0f);
}

// Two steps, a few times, for one item and for a batch: touches every buffer, fills caches, lets a model fail here, and
// says what an evaluation costs. The first run pays for what later ones do not, and says nothing.
void Estimator::Impl::warm_up()
{
    using clock = std::chrono::steady_clock;
    const SamplerEntry& sampler = *d_parts.sampler;
    const int steps = sampler.step_evaluations > 0 ? std::min(2, d_plan.max_steps()) : 1;
    d_trial_y.resize(d_parts_of_x * d_m);
    for (std::size_t j = 0; j < d_trial_y.size(); j++)
        d_trial_y[j] = j % 2 ? 0.6f : 0.8f;
    d_trial_x.resize(d_parts_of_x * d_n);
    d_trial_variance.resize(d_n);
    d_trial_noise.assign(1, trial_noise);
    if (d_takes_lost &&
        d_measured > trial_looks) { // a Gaussian of 1,024 observed elements takes seconds
        d_trial_noise.assign(d_m, Sigma::unobserved());
        const std::size_t every = (d_measured + trial_looks - 1) / trial_looks;
        for (std::size_t i = 0, seen = 0; i < d_m; i++)
            if (measured(i) && seen++ % every == 0)
                d_trial_noise[i] = trial_noise;
    }
    d_trial_cost.clear();
    double took = 0;
    const std::size_t several = std::min(trial_batch, d_batch);
    std::vector<float> content(d_codec ? several * d_codec->content_size() : 0);
    for (int trial = 0; trial < 2 * trials && (trial < 2 || took < slow_trial); trial++) {
        const std::size_t items = trial < trials ? 1 : several;
        const auto started = clock::now();
        for (std::size_t i = 0; i < items; i++)
            admit_trial(i);
        try {
            infer(steps, d_parts.noise_updates);
            if (d_codec) // part of what an item costs
                d_codec->decode(d_run->x.data(), items, content.data());
        } catch (const std::exception& e) {
            throw Error("scheme '" + d_info.spec + "': a trial run failed: " + e.what());
        }
        d_slots.clear();
        took = std::chrono::duration<double>(clock::now() - started).count();
        if (trial == 1)
            d_trial_cost.clear();
        d_trial_cost.add(took,
                         d_each * (d_updates + evaluations(sampler, d_plan, d_run->levels.steps())),
                         double(items));
        if (trial == trials - 1)
            took *= double(several); // what a batch of them may take
    }
    d_tried = true;
}

void Estimator::Impl::admit_trial(std::size_t index)
{
    Item item{};
    item.y = d_trial_y.data();
    item.in_parts = d_parts_of_x;
    item.noise = d_trial_noise.data();
    item.noise_stride = d_trial_noise.size();
    item.mean = d_trial_x.data();
    item.variance = d_trial_variance.data();
    item.index = index;
    admit(item);
}

std::size_t Scheme::item_size() const
{
    const auto& shape = d_info.shape;
    const bool open = std::find(shape.begin(), shape.end(), -1) != shape.end();
    return shape.empty() || open ? 0 : element_count(shape);
}

Estimator::Estimator(std::shared_ptr<const Scheme> scheme, const EstimatorOptions& options)
{
    if (!scheme)
        throw Error("no scheme was given");
    if (scheme->parts().joint)
        throw Error(
            "scheme '" + scheme->info().spec +
            "' has several unknowns: run it by a JointEstimator, or the block estimate_joint");
    d = std::make_unique<Impl>(std::move(scheme), options);
}

Estimator::~Estimator() = default;

void Estimator::run(const float* y,
                    std::size_t items,
                    const float* noise_var,
                    std::size_t noise_stride,
                    std::uint64_t first,
                    float* mean,
                    float* variance,
                    ItemInfo* info,
                    const RunLimit& limit)
{
    const std::size_t parts = d->d_info.complex_domain ? 2 : 1;
    d->run({y,
            parts,
            parts * d->d_m,
            items,
            noise_var,
            noise_stride,
            noise_stride,
            first,
            mean,
            variance,
            info},
           limit);
}

void Estimator::run(const cfloat* y,
                    std::size_t items,
                    const float* noise_var,
                    std::size_t noise_stride,
                    std::uint64_t first,
                    cfloat* mean,
                    float* variance,
                    ItemInfo* info,
                    const RunLimit& limit)
{
    d->run({reinterpret_cast<const float*>(y),
            2,
            2 * d->d_m,
            items,
            noise_var,
            noise_stride,
            noise_stride,
            first,
            reinterpret_cast<float*>(mean),
            variance,
            info},
           limit);
}

void Estimator::set_operator(std::shared_ptr<const Operator> op,
                             const std::vector<std::int64_t>& shape)
{
    d->set_operator(std::move(op), shape);
}
void Estimator::set_context(const std::string& name, const float* values, std::size_t count)
{
    d->set_context(name, values, count);
}
void Estimator::set_condition(const std::string& name, const float* values, std::size_t count)
{
    d->set_condition(name, values, count);
}
void Estimator::set_conditions(const std::string& name, const float* values, std::size_t items)
{
    d->set_conditions(name, values, items);
}
void Estimator::reset()
{
    d->reset();
}
void Estimator::set_steps(int steps)
{
    d->set_steps(steps);
}
void Estimator::set_eta(float eta)
{
    d->set_eta(eta);
}
void Estimator::set_seed(std::uint64_t seed)
{
    d->set_seed(seed);
}
void Estimator::set_noise_freedom(float freedom)
{
    d->set_noise_freedom(freedom);
}
void Estimator::set_observed(const std::vector<std::uint8_t>& observed)
{
    d->set_observed(observed);
}
const Scheme& Estimator::scheme() const
{
    return *d->d_scheme;
}
int Estimator::max_evaluations() const
{
    return d->max_evaluations();
}
const CostModel& Estimator::trial_cost() const
{
    return d->d_trial_cost;
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
