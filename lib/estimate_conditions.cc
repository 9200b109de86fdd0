/*
 * SPDX-License-Identifier: GPL-3.0-or-later
 *
 * What a conditional prior is told in estimate: by a setter, a message, and tags, each from its item on.
 */
#include "estimate_impl.h"

#include <algorithm>
#include <cmath>
#include <exception>

namespace gr {
namespace diffsem {

namespace {

// A number, or a uniform vector of real ones; empty: neither.
std::vector<float> condition_numbers(const pmt::pmt_t& value)
{
    double number = 0;
    if (real_number(value, number))
        return {static_cast<float>(number)};
    std::vector<float> all;
    if (pmt::is_f32vector(value))
        all = pmt::f32vector_elements(value);
    const auto take = [&](const auto& elements) { all.assign(elements.begin(), elements.end()); };
    if (pmt::is_f64vector(value))
        take(pmt::f64vector_elements(value));
    else if (pmt::is_s64vector(value))
        take(pmt::s64vector_elements(value));
    else if (pmt::is_s32vector(value))
        take(pmt::s32vector_elements(value));
    else if (pmt::is_u8vector(value))
        take(pmt::u8vector_elements(value));
    return all;
}

} // namespace

void estimate_impl::set_condition(const std::string& name, const std::vector<float>& values)
{
    std::lock_guard<std::mutex> lock(d_live.mutex());
    tell(name, values);
}

// With the mutex. Throws where it does not fit.
void estimate_impl::tell(const std::string& name, const std::vector<float>& values)
{
    d.run->set_condition(name, values.data(), values.size());
    std::lock_guard<std::mutex> lock(d_said_mutex);
    d_said[name] = values;
}

// A dict from names to numbers or vectors. What does not fit is said in the log, and all stays. \p only_known: names that
// are no conditions are somebody else's.
void estimate_impl::tell(const pmt::pmt_t& said, bool only_known)
{
    std::string wrong;
    if (!pmt::is_dict(said))
        wrong = "it is no dict of names and numbers";
    const auto& prior = d.scheme->parts().prior;
    for (pmt::pmt_t items = wrong.empty() ? pmt::dict_items(said) : pmt::PMT_NIL;
         pmt::is_pair(items);
         items = pmt::cdr(items)) {
        const pmt::pmt_t key = pmt::car(pmt::car(items)), value = pmt::cdr(pmt::car(items));
        const std::string name = pmt::is_symbol(key) ? pmt::symbol_to_string(key) : "";
        if (only_known) {
            const auto& inputs =
                prior ? prior->traits().conditions : std::vector<core::SideInput>();
            if (std::none_of(
                    inputs.begin(), inputs.end(), [&](const auto& i) { return i.name == name; }))
                continue;
        }
        try {
            tell(name, condition_numbers(value));
        } catch (const std::exception& e) {
            wrong = e.what();
        }
    }
    if (!wrong.empty() && d_complaint.due())
        d_logger->error("a condition was not taken: {}", wrong);
}

// A dict, or a PDU that has it as its metadata.
void estimate_impl::condition_message(const pmt::pmt_t& message)
{
    std::lock_guard<std::mutex> lock(d_live.mutex());
    const bool pdu =
        !pmt::is_dict(message) && pmt::is_pair(message) && pmt::is_dict(pmt::car(message));
    tell(pdu ? pmt::car(message) : message, pdu);
}

// Of the oldest items that wait, in order; none where the prior is told nothing.
void estimate_impl::find_telling_tags(int items)
{
    d_telling.clear();
    const auto& prior = d.scheme->parts().prior;
    if (!prior || prior->traits().conditions.empty())
        return;
    const uint64_t read = nitems_read(0);
    get_tags_in_range(d_telling, 0, read, read + static_cast<uint64_t>(items) * d_per_output);
    d_telling.erase(std::remove_if(d_telling.begin(),
                                   d_telling.end(),
                                   [this](const tag_t& tag) {
                                       return !pmt::eqv(tag.key, d_keys.condition_tag) &&
                                              !pmt::eqv(tag.key, d_keys.reset);
                                   }),
                    d_telling.end());
    std::sort(d_telling.begin(), d_telling.end(), tag_t::offset_compare);
}

void estimate_impl::tell_from_tag(const tag_t& tag)
{
    if (pmt::eqv(tag.key, d_keys.condition_tag))
        tell(tag.value);
    else if (asks_reset(tag.value))
        d.run->reset();
}

// Through the estimator, cut where a tag tells it something else. With the mutex.
void estimate_impl::run(const float* y,
                        int items,
                        float* mean,
                        float* variance,
                        float* draws,
                        const core::RunLimit& limit)
{
    // The answer and its draws share what an item may cost.
    core::RunLimit each = limit;
    if (limit.evaluations > 0)
        each.evaluations = std::max(limit.evaluations / (1 + d_options.draws), 1);
    const uint64_t read = nitems_read(0);
    find_telling_tags(items);
    auto tag = d_telling.begin();
    for (int from = 0; from < items;) {
        const auto item_of = [&](const tag_t& t) {
            return static_cast<int>((t.offset - read) / d_per_output);
        };
        for (; tag != d_telling.end() && item_of(*tag) <= from; ++tag)
            tell_from_tag(*tag);
        const int to = tag == d_telling.end() ? items : item_of(*tag);
        d.run->run(y + from * d_input * d_parts,
                   to - from,
                   d_noise.data() + from,
                   1,
                   d_first + from,
                   mean + from * d_output * d_parts,
                   variance ? variance + from * d_output : nullptr,
                   d_info.data() + from,
                   each);
        for (int i = from; i < to && draws; i++)
            draw(y, i, draws, each);
        from = to;
    }
}

// Of one item K draws, each with its own noise; what they took is the item's.
void estimate_impl::draw(const float* y, int item, float* draws, const core::RunLimit& limit)
{
    constexpr uint64_t apart = uint64_t(1) << 48; // from the random numbers of the answers
    const std::size_t k = d_options.draws, whole = d_output * d_parts;
    d.run->draw(y + item * d_input * d_parts,
                k,
                d_noise.data() + item,
                1,
                apart + (d_first + item) * k,
                draws + item * k * whole,
                d_draw_info.data(),
                limit);
    for (const core::ItemInfo& info : d_draw_info) {
        d_info[item].steps += info.steps;
        d_info[item].planned += info.planned;
    }
    d_info[item].seconds += d_draw_info[0].seconds * std::ceil(double(k) / d_options.max_batch);
}

// Of what was said while the running scheme ran, what another in its place takes too and does not say itself.
estimate_impl::conditions estimate_impl::kept_conditions(const core::Scheme& next) const
{
    conditions kept;
    const auto& prior = next.parts().prior;
    if (!prior)
        return kept;
    std::lock_guard<std::mutex> lock(d_said_mutex);
    for (const auto& input : prior->traits().conditions)
        for (const auto* said : {&d_said, &d_options.condition}) {
            const auto found = said->find(input.name);
            if (found != said->end() && found->second.size() == input.count &&
                !next.parts().conditions.count(input.name))
                kept.insert(*found);
        }
    return kept;
}

} // namespace diffsem
} // namespace gr
