/*
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#include "upstream.h"

#include <gnuradio/block_detail.h>
#include <gnuradio/buffer.h>

#include <algorithm>

namespace gr {
namespace diffsem {

namespace {

constexpr double smoothing = 0.05; // of a buffer's mean fill, at each look

bool is_throttle(const gr::block& block)
{
    return block.name() == "throttle" || block.name() == "throttle2";
}

struct level {
    double written; //!< items, ever
    int available;  //!< of them, not read
    uint64_t read;
};

level level_of(gr::buffer_reader& reader)
{
    gr::thread::scoped_lock lock(*reader.mutex());
    return {
        double(reader.buffer()->nitems_written()), reader.items_available(), reader.nitems_read()};
}

//! GNU Radio makes a buffer twice as long as what is written to it at once.
bool is_full(const gr::buffer_reader& reader, int available)
{
    return 2 * available >= reader.max_possible_items_available();
}

bool is_full(gr::buffer_reader& reader)
{
    return is_full(reader, level_of(reader).available);
}

//! Does the block have to wait for one that reads what it writes?
bool has_full_output(gr::block& block)
{
    auto& detail = *block.detail();
    for (int i = 0; i < detail.noutputs(); i++) {
        const auto buffer = detail.output(i);
        for (std::size_t k = 0; k < buffer->nreaders(); k++)
            if (is_full(*buffer->reader(k)))
                return true;
    }
    return false;
}

} // namespace

void upstream::find(gr::block& block)
{
    d_hops.clear();
    d_entry = 0;
    std::vector<const gr::block*> seen;
    walk(block, -1, seen);
    while (d_entry < d_hops.size() && !d_hops[d_entry].enters)
        d_entry++;
}

void upstream::walk(gr::block& block, int next, std::vector<const gr::block*>& seen)
{
    auto& detail = *block.detail();
    for (int i = 0; i < detail.ninputs(); i++) {
        const auto reader = detail.input(i);
        const auto writer = reader->buffer()->link();
        const bool enters = writer->detail()->ninputs() == 0 || is_throttle(*writer);
        if (std::find(seen.begin(), seen.end(), writer.get()) != seen.end())
            continue; // another way to it is known
        seen.push_back(writer.get());
        const int index = static_cast<int>(d_hops.size());
        d_hops.push_back({reader, next, enters});
        if (!enters)
            walk(*writer, index, seen);
    }
}

upstream::view upstream::look()
{
    view v;
    if (d_hops.empty())
        return v;
    for (std::size_t i = 0; i < d_hops.size(); i++) {
        auto& h = d_hops[i];
        if (!h.enters)
            continue;
        const double fill =
            double(level_of(*h.reader).available) / h.reader->max_possible_items_available();
        h.fill += smoothing * (fill - h.fill);
        if (h.fill < d_hops[d_entry].fill)
            d_entry = i;
    }
    for (int i = static_cast<int>(d_entry); i >= 0; i = d_hops[i].next) {
        auto& h = d_hops[i];
        const level l = level_of(*h.reader);
        h.read = l.read;
        if (h.enters)
            v.entered = l.written;
        // A buffer's items in samples, by how many of either there were so far.
        const double waiting = l.written > 0 ? l.available * (v.entered / l.written) : 0;
        (h.next < 0 ? v.here : v.behind) += waiting;
    }
    return v;
}

upstream::jam upstream::find_jam() const
{
    for (const auto& h : d_hops)
        if (h.enters && !is_full(*h.reader))
            return jam::none;
    // The last full one on the way is where it jams.
    const hop* last = nullptr;
    for (int i = static_cast<int>(d_entry); i >= 0 && !d_hops.empty(); i = d_hops[i].next)
        if (is_full(*d_hops[i].reader))
            last = &d_hops[i];
    if (!last)
        return jam::none;
    if (last->next < 0)
        return jam::here;
    const auto waits = last->reader->link();
    const bool stands = level_of(*last->reader).read == last->read;
    return stands && !has_full_output(*waits) ? jam::front : jam::none;
}

std::string upstream::from() const
{
    return d_hops.empty() ? "" : d_hops[d_entry].reader->buffer()->link()->alias();
}

bool upstream::whole() const
{
    static const pmt::pmt_t pdus =
        pmt::mp("pdus"); // by convention the port that a source of streams gets them from
    return d_hops.empty() || !d_hops[d_entry].reader->buffer()->link()->has_msg_port(pdus);
}

} // namespace diffsem
} // namespace gr
