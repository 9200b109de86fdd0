/*
 * SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Tags of onnx_inference: those that pass through, and its own.
 */
#include "onnx_inference_impl.h"

#include <algorithm>

namespace gr {
namespace diffsem {

namespace {

using tag_at = std::vector<tag_t>::const_iterator;

//! Whether the tag is among these, which are in the order of their offsets.
bool holds(tag_at begin, tag_at end, const tag_t& tag)
{
    const auto found = std::equal_range(begin, end, tag, tag_t::offset_compare);
    return std::any_of(found.first, found.second, [&](const tag_t& other) {
        return pmt::eqv(other.key, tag.key) && pmt::equal(other.value, tag.value) &&
               pmt::equal(other.srcid, tag.srcid);
    });
}

} // namespace

//! The output item that an inference of this batch begins with.
uint64_t onnx_inference_impl::written(std::size_t port, int index)
{
    return nitems_written(port) + static_cast<uint64_t>(d_done + index) * d.out[port].items;
}

//! The block's own, on the first item of each inference, but for those that bypass() has set.
void onnx_inference_impl::tag_outputs(int count)
{
    const uint64_t gap = d_ledger.take_gap();
    for (std::size_t j = 0; gap && j < d.out.size(); j++)
        add_item_tag(j, nitems_written(j), d_keys.dropped, pmt::from_uint64(gap));
    if (!d_tag_items)
        return;
    const pmt::pmt_t latency = pmt::from_double(d_ledger.latency());
    for (int k = 0; k < count; k++) {
        const pmt::pmt_t age = pmt::from_double(d_ledger.age(d_first + k));
        for (std::size_t j = 0; j < d.out.size(); j++) {
            const uint64_t at = nitems_written(j) + static_cast<uint64_t>(k) * d.out[j].items;
            add_item_tag(j, at, d_keys.latency, latency);
            add_item_tag(j, at, d_keys.age, age);
            add_item_tag(j, at, d_keys.model, d_ledger.model_symbol());
        }
    }
}

//! Those of `count` inferences to what was made of them; where nothing was, to the next that leaves.
void onnx_inference_impl::move_tags(int count, bool kept)
{
    bool any = false;
    for (std::size_t i = 0; i < d.in.size(); i++) {
        const uint64_t read = nitems_read(i);
        get_tags_in_range(d_tags[i], i, read, read + static_cast<uint64_t>(count) * d.in[i].items);
        any = any || !d_tags[i].empty();
    }
    if (!any)
        return;
    for (std::size_t j = 0; j < d.out.size(); j++) {
        d_moved.clear();
        for (std::size_t i = 0; i < d.in.size(); i++) {
            const std::size_t others = d_moved.size();
            for (tag_t tag : d_tags[i]) {
                const uint64_t item = kept ? tag.offset - nitems_read(i) : 0;
                const uint64_t whole = item / d.in[i].items, rest = item % d.in[i].items;
                tag.offset = nitems_written(j) + whole * d.out[j].items +
                             rest * d.out[j].items / d.in[i].items + d.out[j].delay;
                if (!holds(d_moved.begin(), d_moved.begin() + others, tag))
                    d_moved.push_back(tag);
            }
            std::stable_sort(d_moved.begin(), d_moved.end(), tag_t::offset_compare);
        }
        for (const tag_t& tag : d_moved)
            add_item_tag(j, tag);
    }
}

} // namespace diffsem
} // namespace gr
