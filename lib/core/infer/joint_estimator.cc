/*
 * SPDX-License-Identifier: GPL-3.0-or-later
 *
 * The estimator of several unknowns is made here: what is wrong with its parameters fails here, and all memory is taken.
 */
#include "infer/joint_estimator_impl.h"

#include <algorithm>
#include <string>
#include <vector>

namespace gr {
namespace diffsem {
namespace core {

namespace {

constexpr int trials = 4;
constexpr int most_rounds = 1000;

} // namespace

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
    if (options.noise_freedom != 0)
        throw Error("noise_freedom = " + std::to_string(options.noise_freedom) + ": scheme '" +
                    spec + "' has several unknowns and no guard, which alone reads it: leave it 0");
    if (!options.max_batch || options.max_batch > 65536)
        throw Error("max_batch = " + std::to_string(options.max_batch) + " must lie in 1 .. 65536");
    check_conditions(options.conditions);
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
        own.unseeded_stream = options.unseeded_stream * d.size();
        own.conditions = conditions_of(u, options.conditions);
        part.run = std::make_unique<Estimator>(d_parts.schemes[u], own);
        part.run->set_operator(part.look);
        part.mean.resize(part.size);
        part.variance.resize(part.size);
        part.z.resize(part.blocks.count * part.blocks.rows);
        const auto k = Eigen::Index(part.blocks.cols);
        part.gram.resize(k, k);
        part.b.resize(k);
        believe_prior(part, own.conditions);
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
    if (rounds < 0 || rounds > most_rounds)
        throw Error("rounds = " + std::to_string(rounds) + " must lie in 1 .. " +
                    std::to_string(most_rounds) + ", or be 0 for the scheme's own");
    d_rounds = rounds > 0 ? rounds : d_parts.parameters.rounds;
    d_updates.reserve(std::size_t(d_rounds) * d_parts.parameters.order.size());
}

// Each name is told to every unknown whose prior takes it.
void JointEstimator::Impl::check_conditions(const Conditions& given) const
{
    const std::string& spec = d_scheme->info().spec;
    std::vector<SideInput> all;
    for (std::size_t u = 0; u < d_parts.schemes.size(); u++)
        for (const SideInput& input : d_parts.schemes[u]->parts().prior->traits().conditions) {
            const std::string name = d_parts.op->unknowns()[u];
            if (input.previous)
                throw Error("scheme '" + spec + "': the prior of " + name +
                            " is told the previous answer ('" + input.name +
                            "'), and an unknown that is updated in rounds has many for each item: "
                            "take a prior without it");
            if (input.null.empty() && !given.count(input.name))
                throw Error("scheme '" + spec + "': the prior of " + name +
                            " needs the condition '" + input.name + "': give condition={'" +
                            input.name + "': ...}");
            all.push_back(input);
        }
    for (const auto& one : given) {
        const std::string& name = one.first;
        const std::vector<float>& values = one.second;
        const auto found = std::find_if(
            all.begin(), all.end(), [&](const SideInput& i) { return i.name == name; });
        if (found == all.end())
            throw Error("scheme '" + spec + "': " + no_side_input(name, all));
        if (values.size() != found->count && values.size() % found->count == 0)
            throw Error("scheme '" + spec + "': the condition '" + name + "' was given " +
                        std::to_string(values.size()) +
                        " values, rows for single items: of "
                        "several unknowns it is the same for all items, so give " +
                        std::to_string(found->count));
    }
}

JointEstimator::Impl::Conditions JointEstimator::Impl::conditions_of(std::size_t unknown,
                                                                     const Conditions& given) const
{
    Conditions own;
    for (const SideInput& input : d_parts.schemes[unknown]->parts().prior->traits().conditions) {
        const auto found = given.find(input.name);
        if (found != given.end())
            own.insert(*found);
    }
    return own;
}

// The prior's own moments: what it says of an element that nothing else is known of.
void JointEstimator::Impl::believe_prior(Part& part, const Conditions& told)
{
    const Scheme& scheme = part.run->scheme();
    const auto& prior = scheme.parts().prior;
    Tensor x(Domain::complex, part.shape, 1);
    std::fill(x.data(), x.data() + x.size(), 0.0f);
    Estimate out(Domain::complex, part.shape, 1);
    State context;
    for (const auto& [name, values] : told) {
        Tensor row(Domain::real, {std::int64_t(values.size())}, 1);
        std::copy(values.begin(), values.end(), row.data());
        context.add(name, nullptr, std::move(row), Sigma());
    }
    const auto workspace = prior->make_workspace(1);
    workspace->context = &context;
    prior->denoise(x, Sigma(1, 1, Sigma::unobserved()), *workspace, out);
    part.prior_mean.assign(out.mean.citem(0), out.mean.citem(0) + part.size);
    part.prior_variance.assign(part.size, 1.0f);
    if (out.has_variance)
        std::copy_n(out.variance.begin(), part.size, part.prior_variance.begin());
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
