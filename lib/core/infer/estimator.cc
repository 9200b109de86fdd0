/*
 * SPDX-License-Identifier: GPL-3.0-or-later
 *
 * The estimator is made here: what is wrong with its parameters fails here, and all memory is taken.
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

} // namespace

Estimator::Impl::Impl(std::shared_ptr<const Scheme> scheme, const EstimatorOptions& options)
    : d_scheme(std::move(scheme)),
      d_impl(d_scheme->impl()),
      d_options(options),
      d_eta(options.eta >= 0 ? options.eta : d_impl.eta)
{
    const SchemeInfo& info = d_impl.info;
    if (info.image || info.op == "transform")
        throw Error("scheme '" + info.spec +
                    "' is of photographs: run it by PhotoEstimator, or the block semantic_decoder");
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
    if (!d_impl.prior)
        return; // least squares: nothing to run
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

// Two steps, a few times, for one item and for a batch: touches every buffer, fills caches, lets a model fail here, and
// says what an evaluation costs. The first run pays for what later ones do not, and says nothing.
void Estimator::Impl::warm_up()
{
    using clock = std::chrono::steady_clock;
    const SamplerEntry& sampler = *d_impl.sampler;
    const int steps = sampler.step_evaluations > 0 ? std::min(2, d_plan.max_steps()) : 1;
    const std::vector<cfloat> y(d_m, cfloat(0.8f, 0.6f));
    std::vector<cfloat> mean(d_n);
    std::vector<float> variance(d_n);
    const float noise = 0.1f;
    d_trial_cost.clear();
    double took = 0;
    for (int trial = 0; trial < 2 * trials && took < slow_trial; trial++) {
        const std::size_t items = trial < trials ? 1 : std::min(trial_batch, d_options.max_batch);
        const auto started = clock::now();
        for (std::size_t i = 0; i < items; i++) {
            Item item{y.data(), &noise, 1, mean.data(), variance.data(), {}, nullptr, 1};
            admit(item, i);
        }
        try {
            infer(steps, d_impl.noise_updates);
        } catch (const std::exception& e) {
            throw Error("scheme '" + d_impl.info.spec + "': a trial run failed: " + e.what());
        }
        d_slots.clear();
        took = std::chrono::duration<double>(clock::now() - started).count();
        if (trial == 1)
            d_trial_cost.clear();
        d_trial_cost.add(
            took, d_updates + evaluations(sampler, d_run->levels.steps()), double(items));
        if (trial == trials - 1)
            took *= trial_batch; // what a batch of them may take
    }
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
                    ItemInfo* info,
                    const RunLimit& limit)
{
    d->run(y,
           d->d_m,
           items,
           noise_var,
           noise_stride,
           noise_stride,
           first,
           mean,
           variance,
           info,
           limit);
}

void Estimator::draw(const cfloat* y,
                     std::size_t count,
                     const float* noise_var,
                     std::size_t noise_stride,
                     std::uint64_t first,
                     cfloat* draws,
                     ItemInfo* info)
{
    d->run(y, 0, count, noise_var, noise_stride, 0, first, draws, nullptr, info, {});
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
