/*
 * SPDX-License-Identifier: GPL-3.0-or-later
 *
 * What another member answers: what contradicts its measurement, and where too little is observed.
 */
#include "infer/estimator_impl.h"
#include "infer/guard.h"

#include <cmath>
#include <exception>
#include <memory>

namespace gr {
namespace diffsem {
namespace core {

void Estimator::Impl::set_noise_freedom(float freedom)
{
    if (!(freedom >= 0) || !std::isfinite(freedom))
        throw Error("noise_freedom = " + std::to_string(freedom) +
                    " must be 0 (the noise variance is known) or the number of elements that it "
                    "was measured on");
    d_options.noise_freedom = freedom;
    if (d_fallback)
        d_fallback->set_noise_freedom(freedom);
}

void Estimator::Impl::make_fallback()
{
    if (!d_parts.fallback)
        return;
    EstimatorOptions options = d_options;
    options.steps = 0; // its own
    options.eta = -1;
    if (!d_parts.fallback->info().guard)
        options.noise_freedom = 0;
    options.conditions.clear(); // it is told what this one is told now
    const auto& prior = d_parts.fallback->parts().prior;
    for (const Told& t : d_told)
        for (const SideInput& input : prior ? prior->traits().conditions : std::vector<SideInput>())
            if (input.name == t.input.name && !t.input.previous && !t.now.empty())
                options.conditions[input.name] = t.now;
    d_fallback = std::make_unique<Impl>(d_parts.fallback, options);
    for (const Told& t : d_told)
        for (Told& other : d_fallback->d_told)
            if (other.input.name == t.input.name && t.each)
                d_fallback->set_conditions(t.input.name, t.each, t.items);
}

// Of an answer in the slot, whether the measurement refutes it. Elements of infinite noise say nothing. A draw lies off by
// its own spread too, which where something is measured is no more than the noise.
bool Estimator::Impl::contradicted(Item& item, std::size_t slot)
{
    const double off = drawing() ? 2 : 1;
    if (!d_op->keeps_elements_apart()) {
        item.missed = d_op->residual(d_y, d_noise, d_run->x, slot, d_scratch.data());
        const double count = double(item.measured);
        return std::isfinite(item.missed) && far_off(item.missed,
                                                     off * count * item.info.noise_var / item.power,
                                                     count * item.seen / item.power,
                                                     item.measured,
                                                     d_parts_of_x,
                                                     d_options.noise_freedom);
    }
    const float *y = d_y.item(slot), *x = d_run->x.item(slot);
    double energy = 0;
    for (std::size_t i = 0; i < d_n; i++) {
        if (!measured(item, i))
            continue;
        double residual = 0;
        for (std::size_t j = d_parts_of_x * i; j < d_parts_of_x * (i + 1); j++)
            residual += (double(y[j]) - x[j]) * (double(y[j]) - x[j]);
        const double sigma = d_noise.at(slot, i);
        energy += residual / (sigma * sigma);
    }
    // An answer that is no number is a failure, and said to be one.
    return std::isfinite(energy) &&
           contradicts(energy / off, item.measured, d_parts_of_x, d_options.noise_freedom);
}

// Another member answers it, or least squares.
void Estimator::Impl::fall_back(std::size_t slot, Item& item)
{
    account(slot, item);
    item.info.guarded = true;
    item.spent = item.info.steps;
    if (!pass_on(item))
        bypass(item, "guard");
}

// Whether fewer elements are observed than this member is for.
bool Estimator::Impl::few(const Item& item) const
{
    const std::size_t fewest = std::size_t(d_info.fewest_observed);
    if (d_measured < fewest || !fewest || item.noise_stride == 1)
        return d_measured < fewest;
    std::size_t seen = 0;
    for (std::size_t i = 0; i < d_m; i++)
        seen += measured(i) && !lost(item, i);
    return seen < fewest;
}

// To another member, as it came; false where there is none.
bool Estimator::Impl::pass_on(const Item& item)
{
    if (!d_fallback && !d_options.fallback_now) {
        try {
            make_fallback();
        } catch (const std::exception&) { // it does not fit what is measured: least squares does
        }
    }
    // Where draws are wanted, a mean would be the same for all of them.
    if (!d_fallback || (item.drawing && !d_fallback->draws()))
        return false;
    Item again{};
    again.y = item.y;
    again.in_parts = item.in_parts;
    again.noise = item.noise;
    again.noise_stride = item.noise_stride;
    again.mean = item.mean;
    again.variance = item.variance;
    again.out = item.out;
    again.place = item.place;
    again.index = item.index;
    again.drawing = item.drawing;
    again.info.guarded = item.info.guarded;
    again.info.few_observed = item.info.few_observed;
    again.spent = item.info.steps;
    again.spent_planned = item.info.planned;
    again.spent_seconds = item.info.seconds;
    d_fallback->take(again);
    return true;
}

} // namespace core
} // namespace diffsem
} // namespace gr
