/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <gnuradio/diffsem/core/infer/joint_estimator.h>

#include <gnuradio/diffsem/core/realtime/realtime.h>

#include "base/linalg.h"
#include "operators/block_operator.h"

#include <Eigen/Core>
#include <algorithm>
#include <chrono>
#include <cmath>
#include <limits>
#include <string>
#include <vector>

namespace gr {
namespace diffsem {
namespace core {

namespace {

constexpr float absurd_noise = 1e30f; // beyond it squares overflow float
constexpr double least_pivot = 1e-13; // of a direction that y says nothing of, of the largest
constexpr double ridge = 1e-6;        // of least squares, of the largest direction
constexpr int trials = 4;
constexpr int most_rounds = 1000;

bool usable(float v)
{
    return v >= std::numeric_limits<float>::min() && v <= absurd_noise;
}

bool finite(const cfloat& v)
{
    return std::isfinite(v.real()) && std::isfinite(v.imag());
}

} // namespace

class JointEstimator::Impl
{
public:
    Impl(std::shared_ptr<const Scheme> scheme, const EstimatorOptions& options);
    void set_rounds(int rounds);
    void run_item(const Measurement& y, std::uint64_t index, const RunLimit& limit, ItemInfo& info);
    void write(std::size_t item, cfloat* const* means, float* const* variances) const;

    //! One unknown: what is believed of it, and what infers it.
    struct Part {
        std::string name;
        std::vector<std::int64_t> shape;
        std::size_t size = 0;
        Blocks blocks;
        std::shared_ptr<BlockOperator> look;
        std::unique_ptr<Estimator> run;
        std::vector<cfloat> prior_mean, mean, z;
        std::vector<float> prior_variance, variance;
        Eigen::MatrixXcd gram;
        Eigen::VectorXcd b;
        Belief belief() const { return {mean.data(), variance.data()}; }
    };

    std::shared_ptr<const Scheme> d_scheme;
    const JointParts& d_parts;
    std::vector<Part> d;
    CostModel d_trial_cost;
    std::size_t d_m = 0;
    int d_round_evaluations = 0; // of one round
    int d_rounds = 0;

    int max_evaluations() const { return d_rounds * d_round_evaluations; }

private:
    void believe_prior(Part& part);
    void start();
    void keep_known(std::size_t u);
    const char* admit(const Measurement& y, ItemInfo& info) const; // why not; null: it is fit
    bool infer(const Measurement& y, std::uint64_t index, int rounds, ItemInfo& info);
    bool update(const Update& step, const Measurement& y, std::uint64_t index, ItemInfo& info);
    void least_squares(std::size_t u, const Measurement& y);
    void bypass(const Measurement& y, const char* reason, ItemInfo& info);
    float residual(const Measurement& y);
    void warm_up();

    std::vector<Update> d_updates;
    std::vector<cfloat> d_explained;
};

JointEstimator::Impl::Impl(std::shared_ptr<const Scheme> scheme, const EstimatorOptions& options)
    : d_scheme(std::move(scheme)),
      d_parts(*d_scheme->parts().joint)
{
    const std::string& spec = d_scheme->info().spec;
    if (!options.observed.empty() || !options.matrix.empty())
        throw Error(
            "scheme '" + spec + "' has several unknowns, whose operator '" + d_parts.entry->name +
            "' takes neither a matrix nor observed elements: give lost elements an infinite "
            "noise variance");
    d_m = d_parts.op->rows();
    if (options.item_size && options.item_size != d_m)
        throw Error("item_size = " + std::to_string(options.item_size) + ": scheme '" + spec +
                    "' measures vectors of " + std::to_string(d_m) + " elements");
    const std::vector<std::string> names = d_parts.op->unknowns();
    d.resize(names.size());
    bool symmetric = true;
    for (std::size_t u = 0; u < d.size(); u++) {
        Part& part = d[u];
        part.name = names[u];
        part.shape = d_parts.op->shape(u);
        part.size = element_count(part.shape);
        part.blocks = d_parts.op->looks(u);
        part.look = std::make_shared<BlockOperator>(part.blocks);
        EstimatorOptions own = options;
        own.item_size = part.size;
        own.steps = 0;
        own.max_batch = 1;
        own.residual = false;
        own.stream = options.stream * d.size() + u; // unknowns do not draw the same
        part.run = std::make_unique<Estimator>(d_parts.schemes[u], own);
        part.run->set_operator(part.look);
        part.mean.resize(part.size);
        part.variance.resize(part.size);
        part.z.resize(part.blocks.count * part.blocks.rows);
        const auto k = Eigen::Index(part.blocks.cols);
        part.gram.resize(k, k);
        part.b.resize(k);
        believe_prior(part);
        symmetric = symmetric && !d_parts.op->known(u).any() &&
                    std::all_of(part.prior_mean.begin(), part.prior_mean.end(), [](cfloat v) {
                        return std::norm(v) < 1e-12f;
                    });
    }
    if (symmetric)
        throw Error("scheme '" + spec + "': " + names[0] + " and " + names[1] +
                    " both have mean 0 and nothing of them is known, so y cannot tell one from the "
                    "other: give pilots, or a prior with another mean");
    d_explained.resize(d_m);
    for (std::size_t u : d_parts.parameters.order)
        d_round_evaluations += d[u].run->max_evaluations();
    set_rounds(options.steps);
    warm_up();
}

void JointEstimator::Impl::set_rounds(int rounds)
{
    d_rounds = rounds > 0 ? std::min(rounds, most_rounds) : d_parts.parameters.rounds;
    d_updates.reserve(std::size_t(d_rounds) * d_parts.parameters.order.size());
}

// The prior's own moments: what it says of an element that nothing else is known of.
void JointEstimator::Impl::believe_prior(Part& part)
{
    const Scheme& scheme = part.run->scheme();
    const auto& prior = scheme.parts().prior;
    Tensor x(Domain::complex, part.shape, 1);
    std::fill(x.data(), x.data() + x.size(), 0.0f);
    Estimate out(Domain::complex, part.shape, 1);
    const auto workspace = prior->make_workspace(1);
    prior->denoise(x, Sigma(1, 1, Sigma::unobserved()), *workspace, out);
    part.prior_mean.assign(out.mean.citem(0), out.mean.citem(0) + part.size);
    part.prior_variance.assign(part.size, 1.0f);
    if (out.has_variance)
        std::copy_n(out.variance.begin(), part.size, part.prior_variance.begin());
}

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
    const bool done = infer(y, index, rounds, info);
    info.seconds = std::chrono::duration<double>(clock::now() - began).count();
    if (!done)
        return bypass(y, "inference", info);
    info.residual = residual(y);
}

bool JointEstimator::Impl::infer(const Measurement& y,
                                 std::uint64_t index,
                                 int rounds,
                                 ItemInfo& info)
{
    start();
    d_parts.driver->updates(d_parts.parameters, rounds, d_updates);
    for (const Update& step : d_updates)
        if (!update(step, y, index, info))
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

// A few runs of one item: what fails shall fail here, and what an evaluation takes is known before the first item.
void JointEstimator::Impl::warm_up()
{
    const std::vector<cfloat> y(d_m, cfloat(0.8f, 0.6f));
    const float noise = 0.1f;
    for (int trial = 0; trial < trials; trial++) {
        ItemInfo info;
        run_item({y.data(), &noise, 0}, 0, {std::max(2 * d_round_evaluations, 1)}, info);
        if (info.bypassed)
            throw Error("scheme '" + d_scheme->info().spec + "': a trial run failed (" +
                        info.reason + "): see what its priors are made for");
        if (trial > 0) // the first pays for what later ones do not
            d_trial_cost.add(info.seconds, info.steps, 1);
    }
}

JointEstimator::JointEstimator(std::shared_ptr<const Scheme> scheme,
                               const EstimatorOptions& options)
{
    if (!scheme)
        throw Error("no scheme was given");
    if (!scheme->parts().joint)
        throw Error("scheme '" + scheme->info().spec +
                    "' has one unknown: run it by an Estimator, or the block estimate");
    d = std::make_unique<Impl>(std::move(scheme), options);
}

JointEstimator::~JointEstimator() = default;

void JointEstimator::run(const cfloat* y,
                         std::size_t items,
                         const float* noise_var,
                         std::size_t noise_stride,
                         std::uint64_t first,
                         cfloat* const* means,
                         float* const* variances,
                         ItemInfo* info,
                         const RunLimit& limit)
{
    const std::size_t m = d->d_m;
    for (std::size_t b = 0; b < items; b++) {
        const bool each = noise_stride > 1 || m == 1;
        ItemInfo its;
        d->run_item({y + b * m, noise_var + b * noise_stride, std::size_t(each ? 1 : 0)},
                    first + b,
                    limit,
                    its);
        d->write(b, means, variances);
        if (info)
            info[b] = its;
    }
}

void JointEstimator::set_steps(int rounds)
{
    d->set_rounds(rounds);
}
void JointEstimator::set_eta(float eta)
{
    for (auto& part : d->d)
        part.run->set_eta(eta);
}
void JointEstimator::set_seed(std::uint64_t seed)
{
    for (auto& part : d->d)
        part.run->set_seed(seed);
}
const Scheme& JointEstimator::scheme() const
{
    return *d->d_scheme;
}
int JointEstimator::max_evaluations() const
{
    return d->max_evaluations();
}
const CostModel& JointEstimator::trial_cost() const
{
    return d->d_trial_cost;
}
std::size_t JointEstimator::input_size() const
{
    return d->d_m;
}
std::size_t JointEstimator::unknowns() const
{
    return d->d.size();
}
const std::string& JointEstimator::name(std::size_t unknown) const
{
    return d->d[unknown].name;
}
std::size_t JointEstimator::output_size(std::size_t unknown) const
{
    return d->d[unknown].size;
}
const std::vector<std::int64_t>& JointEstimator::shape(std::size_t unknown) const
{
    return d->d[unknown].shape;
}

} // namespace core
} // namespace diffsem
} // namespace gr
