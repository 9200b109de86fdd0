/*
 * SPDX-License-Identifier: GPL-3.0-or-later
 *
 * What a conditional prior is told: constants, a row for each item, or the stream's previous answer. It reaches the prior
 * as named tensors of the workspace's context, a row for every item of the batch.
 */
#include "infer/estimator_impl.h"

#include <algorithm>
#include <cmath>
#include <exception>
#include <initializer_list>
#include <map>
#include <string>
#include <vector>

namespace gr {
namespace diffsem {
namespace core {

namespace {

constexpr std::size_t most_taken = 1024; // values of a condition that are remembered not to fail

} // namespace

// From the options, else from the scheme's string, else the null; what is in none of them is asked for here.
void Estimator::Impl::make_conditions()
{
    const std::vector<SideInput> inputs =
        d_parts.prior ? d_parts.prior->traits().conditions : std::vector<SideInput>();
    const Domain domain = d_info.complex_domain ? Domain::complex : Domain::real;
    for (const SideInput& input : inputs) {
        Told t;
        t.input = input;
        t.at = d_context.unknowns().size();
        d_remembers = d_remembers || input.previous;
        const bool previous = input.previous;
        d_context.add(input.name,
                      nullptr,
                      previous ? Tensor(domain, d_info.shape, 1)
                               : Tensor(Domain::real,
                                        {std::int64_t(input.count)},
                                        d_open ? 1 : d_options.max_batch),
                      Sigma());
        t.now = input.null.empty() && previous ? std::vector<float>(input.count) : input.null;
        d_told.push_back(std::move(t));
    }
    using Given = std::map<std::string, std::vector<float>>;
    for (const Given* given :
         std::initializer_list<const Given*>{&d_parts.conditions, &d_options.conditions})
        for (const auto& [name, values] : *given)
            set_condition(name, values.data(), values.size());
    for (const Told& t : d_told)
        if (t.now.empty())
            throw Error("scheme '" + d_info.spec + "' needs the condition '" + t.input.name +
                        "': give " + t.input.name + "=" + (t.input.count == 1 ? "..." : "...;...") +
                        " in the scheme string, or say what it is when the estimator is made");
}

Estimator::Impl::Told& Estimator::Impl::told(const std::string& name)
{
    for (Told& t : d_told)
        if (t.input.name == name)
            return t;
    std::vector<SideInput> inputs;
    for (const Told& t : d_told)
        inputs.push_back(t.input);
    throw Error("scheme '" + d_info.spec + "': " + no_side_input(name, inputs));
}

// One that a caller may say.
Estimator::Impl::Told& Estimator::Impl::tellable(const std::string& name)
{
    Told& t = told(name);
    if (t.input.previous)
        throw Error("scheme '" + d_info.spec + "': the condition '" + name +
                    "' is the previous answer, which the run itself fills in: leave it out");
    return t;
}

void Estimator::Impl::set_condition(const std::string& name, const float* values, std::size_t count)
{
    Told& t = tellable(name);
    t.input.check(values, count);
    if (d_tried && !is_known(t, values))
        try_row(t, values);
    if (d_fallback) // which may refuse it
        for (Told& other : d_fallback->d_told)
            if (other.input.name == name && !other.input.previous)
                d_fallback->set_condition(name, values, count);
    t.now.assign(values, values + count);
}

void Estimator::Impl::set_conditions(const std::string& name,
                                     const float* values,
                                     std::size_t items)
{
    Told& t = tellable(name);
    for (std::size_t b = 0; b < items; b++)
        t.input.check(values + b * t.input.count, t.input.count);
    for (std::size_t b = 0; d_tried && b < items; b++)
        if (!is_known(t, values + b * t.input.count))
            try_row(t, values + b * t.input.count);
    t.each = values;
    t.items = items;
    if (d_fallback)
        for (Told& other : d_fallback->d_told)
            if (other.input.name == name && !other.input.previous)
                d_fallback->set_conditions(name, values, items);
}

// Whether the graph takes these values, as far as that is declared or was seen. Only an index can be out of range.
bool Estimator::Impl::is_known(const Told& t, const float* values) const
{
    const bool declared = std::isfinite(t.input.least) && std::isfinite(t.input.most);
    if (!t.input.integer || declared || std::equal(t.now.begin(), t.now.end(), values))
        return true;
    return std::any_of(t.taken.begin(), t.taken.end(), [&](const std::vector<float>& seen) {
        return std::equal(seen.begin(), seen.end(), values);
    });
}

// One evaluation of these values in the place of what is told now. Throws Error where the graph fails on them.
void Estimator::Impl::try_row(Told& t, const float* values)
{
    std::vector<float> row(values, values + t.input.count);
    t.now.swap(row);
    std::string failure;
    d_slots.clear();
    admit_trial(0);
    try {
        infer(1, 0);
    } catch (const std::exception& e) {
        failure = e.what();
    }
    d_slots.clear();
    t.now.swap(row); // what held before holds on
    if (!failure.empty())
        throw Error("scheme '" + d_info.spec + "': the condition '" + t.input.name +
                    "' was given values, from " + Json(double(row.front())).dump() +
                    ", that the network fails on (" + failure +
                    "): give others, and declare 'least' and 'most' of it");
    if (t.taken.size() < most_taken)
        t.taken.push_back(std::move(row));
}

// The row of one item, which has its slot. The rows of the batch are those of its slots.
void Estimator::Impl::tell(std::size_t slot, const Item& item)
{
    for (Told& t : d_told) {
        Tensor& rows = d_context.unknowns()[t.at].x;
        if (!t.input.previous)
            rows.set_batch(slot + 1);
        const float* from =
            t.each && item.place < t.items ? t.each + item.place * t.input.count : t.now.data();
        std::copy(from, from + rows.width(), rows.item(t.input.previous ? 0 : slot));
    }
}

void Estimator::Impl::remember(std::size_t slot)
{
    if (!d_remembers)
        return;
    const float* answer = d_run->x.item(slot);
    for (Told& t : d_told)
        if (t.input.previous)
            std::copy(answer, answer + t.now.size(), t.now.begin());
}

// What was said of each item of a run does not hold for the next.
void Estimator::Impl::end_run()
{
    for (Told& t : d_told)
        t.each = nullptr;
    if (d_fallback)
        d_fallback->end_run();
}

void Estimator::Impl::reset()
{
    for (Told& t : d_told)
        if (t.input.previous) {
            std::fill(t.now.begin(), t.now.end(), 0.0f);
            std::copy(t.input.null.begin(), t.input.null.end(), t.now.begin());
        }
    if (d_fallback)
        d_fallback->reset();
}

} // namespace core
} // namespace diffsem
} // namespace gr
