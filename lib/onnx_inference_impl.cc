/*
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#include "onnx_inference_impl.h"

#include <gnuradio/io_signature.h>

#include <algorithm>
#include <cstring>
#include <limits>

namespace gr {
namespace diffsem {

namespace {

constexpr double one_turn = 1e-3;                           // seconds
constexpr int most_batch = std::numeric_limits<int>::max(); // as many as the model takes
constexpr std::size_t min_output_bytes = std::size_t(1) << 18;

//! The next batch, which lies in another core's cache, comes while the runtime computes this one.
void fetch_ahead(const char* data, std::size_t bytes)
{
    for (std::size_t i = 0; i < std::min<std::size_t>(bytes, 16384); i += 64)
        __builtin_prefetch(data + i, 0, 2);
}

io_signature::sptr signature(const std::vector<onnx_inference_impl::port>& ports)
{
    std::vector<int> sizes;
    for (const auto& p : ports)
        sizes.push_back(p.item_bytes());
    const int count = static_cast<int>(sizes.size());
    return io_signature::makev(count, count, sizes);
}

int most_items(const std::vector<onnx_inference_impl::port>& ports)
{
    int most = 1;
    for (const auto& p : ports)
        most = std::max(most, p.items);
    return most;
}

} // namespace

onnx_inference_impl::onnx_inference_impl(plan p)
    : gr::block("onnx_inference", signature(p.in), signature(p.out)),
      d(std::move(p)),
      d_max_batch(most_batch),
      d_tag_items(d.options.tag_items),
      d_from(d.in.size()),
      d_try_from(d.in.size()),
      d_to(d.out.size()),
      d_try_to(d.out.size()),
      d_tags(d.in.size()),
      d_reset_key(pmt::mp(d.options.reset_tag)),
      d_ledger(*this, d_logger, d.options.live, offered(d.options))
{
    for (const port& out : d.out) {
        d_same.push_back(-1);
        for (std::size_t i = d.in.size(); i-- > 0;)
            if (d.in[i].type == out.type && d.in[i].bytes == out.bytes)
                d_same.back() = static_cast<int>(i);
    }
    if (d.window)
        set_history(static_cast<unsigned>(d.window - d.hop) + 1);
    // Offsets are ours to map: the scheduler would round where rates differ.
    set_tag_propagation_policy(TPP_DONT);
    // From these two the scheduler sizes buffers, here and upstream.
    set_relative_rate(most_items(d.out), most_items(d.in));
    if (most_items(d.out) > 1)
        set_output_multiple(most_items(d.out));
    // GNU Radio's 64 kB are soon full of small results, and then two threads change places.
    for (std::size_t j = 0; j < d.out.size(); j++)
        set_min_output_buffer(static_cast<int>(j),
                              std::max<long>(min_output_bytes / d.out[j].item_bytes(), 1));
    const pmt::pmt_t swaps = pmt::mp("model");
    message_port_register_in(swaps);
    set_msg_handler(swaps, [this](const pmt::pmt_t& message) {
        request_named(
            d_swap, d_ledger, d_logger, "model", message, [this](const std::string& path) {
                return [this, path] { return replacement(path); };
            });
    });
    begin();
}

void onnx_inference_impl::begin()
{
    d_ledger.begin_model(d.m->cost, 1, d.m->path, d.m->hash, "");
    if (!d.m->run->note().empty())
        d_logger->info("{}", d.m->run->note());
}

// The same block with another file; throws where it would not fit. In any thread.
std::unique_ptr<onnx_inference_impl::model>
onnx_inference_impl::replacement(const std::string& path) const
{
    plan next = check(path, d.options);
    check_same_ports(d, next);
    return std::move(next.m);
}

// Between two calls; windows that overlap go on where those of the old one ended.
void onnx_inference_impl::swap()
{
    auto next = d_swap.take();
    if (!next)
        return;
    if (next->overlap)
        next->overlap->resume(*d.m->overlap);
    d.m.swap(next);
    d_swap.retire(std::move(next));
    begin();
    d_ledger.swapped();
}

const onnx_inference_impl::port& onnx_inference_impl::at(const std::vector<port>& ports, int index)
{
    if (index < 0 || index >= static_cast<int>(ports.size()))
        throw core::Error("port is " + text(index) + ": give 0 to " + text(ports.size() - 1));
    return ports[static_cast<std::size_t>(index)];
}

void onnx_inference_impl::set_max_batch(int max_batch)
{
    if (max_batch < 1)
        throw core::Error("max_batch is " + text(max_batch) + ": give 1 to " +
                          text(d.options.max_batch));
    d_max_batch = max_batch; // the model may take less at once
}

bool onnx_inference_impl::start()
{
    // New buffers begin with zeros; after lock() and unlock() the stream goes on.
    if (d.m->overlap && nitems_read(0) == 0)
        d.m->overlap->reset();
    if (nitems_read(0) == 0)
        d.m->run->reset();
    return live_block<onnx_inference>::start();
}

void onnx_inference_impl::forecast(int, gr_vector_int& ninput_items_required)
{
    // One inference is enough to go on: what waits is taken, nothing more is waited for.
    for (std::size_t i = 0; i < d.in.size(); i++)
        ninput_items_required[i] = d.in[i].items + static_cast<int>(history()) - 1;
}

//! Inferences for which every input has what they take.
int onnx_inference_impl::waiting(const gr_vector_int& ninput_items) const
{
    int count = std::numeric_limits<int>::max();
    for (std::size_t i = 0; i < d.in.size(); i++)
        count =
            std::min(count, (ninput_items[i] - static_cast<int>(history()) + 1) / d.in[i].items);
    return count;
}

int onnx_inference_impl::general_work(int noutput_items,
                                      gr_vector_int& ninput_items,
                                      gr_vector_const_void_star& input_items,
                                      gr_vector_void_star& output_items)
{
    if (d_swap.ready())
        swap();
    const int queued = waiting(ninput_items), room = noutput_items / most_items(d.out);
    if (queued < 1 || room < 1)
        return 0;
    const std::size_t most = std::min<std::size_t>(d_max_batch, d.m->run->max_batch());
    const auto verdict = d_ledger.decide(d_first, queued, most);
    const int taken = static_cast<int>(verdict.items);
    find_resets(queued);
    if (verdict.evaluations == 0 && d_ledger.drops()) {
        drop(taken);
        return 0;
    }
    const char* skip = verdict.evaluations == 0 ? d_ledger.limit(verdict).reason : nullptr;
    // With a deadline each batch has its own verdict.
    const int waits = std::min(skip || d_ledger.hurries() ? taken : queued, room);
    const int told = compute(waits, taken, skip, input_items, output_items);

    auto& info = d.m->info;
    d_ledger.left(d_first, static_cast<std::size_t>(d_done - told), info.data(), told);
    std::fill_n(info.begin(), told, model::inferred());
    move_tags(d_done, true);
    tag_outputs(d_done);
    d_ledger.report(NAN);
    d_first += d_done;
    for (std::size_t i = 0; i < d.in.size(); i++)
        consume(static_cast<int>(i), d_done * d.in[i].items);
    for (std::size_t j = 0; j < d.out.size(); j++)
        produce(static_cast<int>(j), d_done * d.out[j].items);
    return WORK_CALLED_PRODUCE;
}

/*!
 * Some of those that wait, at most `most` at once; `skip` says why none is inferred.
 * Returns how many of the last have something to tell: the call ends with the batch that has.
 */
int onnx_inference_impl::compute(int waits,
                                 int most,
                                 const char* skip,
                                 const sources& input_items,
                                 const targets& output_items)
{
    int enough = most;
    d_done = 0;
    d_told = false;
    // Handing over costs up to 20 us, several times a small net: with a backlog, go on for a while. The first
    // batch says how many that is, because a small net feels it when the clock is read.
    while (true) {
        const int count = std::min(waits - d_done, most);
        const int next = std::min(waits - d_done - count, most);
        for (std::size_t i = 0; i < d.in.size(); i++) {
            const auto* in = static_cast<const char*>(input_items[i]) + d_done * d.in[i].step();
            fetch_ahead(in + count * d.in[i].step(), next * d.in[i].step());
            d_from[i] = in;
        }
        for (std::size_t j = 0; j < d.out.size(); j++)
            d_to[j] = static_cast<char*>(output_items[j]) + d_done * d.out[j].step();
        batch(d_from, count, d_to, skip);
        if (d_done == 0 && count < waits) {
            const double turns = one_turn / std::max(d_ledger.elapsed(), 1e-9);
            enough = count * static_cast<int>(std::min<double>(turns, waits / count));
        }
        d_done += count;
        if (d_told)
            return count;
        if (d_done >= std::min(waits, enough))
            return 0;
    }
}

//! Which of the inferences that wait a tag tells to begin anew.
void onnx_inference_impl::find_resets(int count)
{
    d_resets.clear();
    if (!d.m->run->stateful())
        return;
    for (std::size_t i = 0; i < d.in.size(); i++) {
        const uint64_t read = nitems_read(i), items = d.in[i].items;
        get_tags_in_range(d_reset_tags, i, read, read + count * items, d_reset_key);
        for (const tag_t& tag : d_reset_tags)
            if (asks_reset(tag.value))
                d_resets.push_back(d_first + (tag.offset - read) / items);
    }
}

//! Before inference `index` of this call.
void onnx_inference_impl::reset_where_said(int index)
{
    const bool said = std::count(d_resets.begin(), d_resets.end(), d_first + index);
    if (said || d_reset_next)
        d.m->run->reset();
    d_reset_next = false;
}

//! `count` inferences that wait at `in`: their answers to `out`.
void onnx_inference_impl::batch(const sources& in, int count, const targets& out, const char* skip)
{
    model& m = *d.m;
    if (m.run->stateful())
        reset_where_said(d_done); // one at a time
    if (!m.overlap) {
        infer(in, count, out, skip);
        return;
    }
    for (std::size_t i = 0; i < d.in.size(); i++)
        m.overlap->cut(i, in[i], count, m.windows[i].data());
    infer(m.windows_from, count, m.windows_to, skip);
    for (std::size_t j = 0; j < d.out.size(); j++)
        m.overlap->join(j, m.answers[j].data(), count, out[j]);
}

void onnx_inference_impl::drop(int count)
{
    d_done = 0;
    for (const uint64_t at : d_resets)
        d_reset_next = d_reset_next || at < d_first + static_cast<uint64_t>(count);
    move_tags(count, false);
    d_ledger.dropped(count);
    d_ledger.report(NAN);
    d_first += count;
    for (std::size_t i = 0; i < d.in.size(); i++)
        consume(static_cast<int>(i), count * d.in[i].items);
}

//! Copies the batch without the inferences that hold NaN or Inf; false if there are none.
bool onnx_inference_impl::clean(const sources& in, int count)
{
    bool dirty = false;
    for (std::size_t i = 0; i < d.in.size(); i++)
        dirty = dirty || !d.in[i].finite(static_cast<const char*>(in[i]), d.in[i].bytes * count);
    if (!dirty)
        return false;
    for (int k = 0; k < count; k++) {
        bool finite = true;
        for (std::size_t i = 0; i < d.in.size(); i++)
            finite = finite && d.in[i].finite(static_cast<const char*>(in[i]) + k * d.in[i].bytes,
                                              d.in[i].bytes);
        d.m->dirty[k] = !finite;
        for (std::size_t i = 0; i < d.in.size(); i++) {
            char* to = &d.m->clean[i][k * d.in[i].bytes];
            if (finite)
                std::memcpy(to, static_cast<const char*>(in[i]) + k * d.in[i].bytes, d.in[i].bytes);
            else
                std::memset(to, 0, d.in[i].bytes);
        }
    }
    return true;
}

void onnx_inference_impl::infer(const sources& in, int count, const targets& out, const char* skip)
{
    if (skip) {
        for (int k = 0; k < count; k++)
            bypass(in, k, out, true, skip);
        return;
    }
    if (!clean(in, count)) {
        attempt(in, 0, count, out);
    } else {
        if (!d.m->run->stateful()) // whose state must not go on from zeros that nobody sent
            attempt(d.m->clean_from, 0, count, out);
        for (int k = 0; k < count; k++)
            if (d.m->dirty[k])
                bypass(in, k, out, false, "nan");
    }
    for (std::size_t j = 0; j < d.out.size(); j++) {
        const std::size_t bytes = d.out[j].bytes;
        const auto* answers = static_cast<const char*>(out[j]);
        if (d.out[j].finite(answers, bytes * count))
            continue; // an infinite result may be meant, one that is no number is not
        for (int k = 0; k < count; k++)
            if (d.out[j].no_number(answers + k * bytes, bytes))
                bypass(in, k, out, true, "inference");
    }
}

// One inference that the runtime refuses must not spoil those computed with it.
void onnx_inference_impl::attempt(const sources& in, int first, int count, const targets& out)
{
    for (std::size_t i = 0; i < d.in.size(); i++)
        d_try_from[i] = static_cast<const char*>(in[i]) + first * d.in[i].bytes;
    for (std::size_t j = 0; j < d.out.size(); j++)
        d_try_to[j] = static_cast<char*>(out[j]) + first * d.out[j].bytes;
    try {
        d.m->run->run(d_try_from.data(), count, d_try_to.data());
    } catch (const std::exception& e) {
        if (count > 1) {
            for (int k = 0; k < count; k++)
                attempt(in, first + k, 1, out);
            return;
        }
        if (d_log_limit.due())
            d_logger->warn("inference {} failed: {}", d_first + d_done + first, e.what());
        bypass(in, first, out, true, "inference");
    }
}

void onnx_inference_impl::bypass(const sources& in,
                                 int index,
                                 const targets& out,
                                 bool pass,
                                 const char* reason)
{
    auto& info = d.m->info[index];
    if (info.bypassed)
        return;
    info.steps = 0;
    info.bypassed = d_told = true;
    info.reason = reason;
    for (std::size_t j = 0; j < d.out.size(); j++) {
        char* to = static_cast<char*>(out[j]) + index * d.out[j].bytes;
        if (pass && d_same[j] >= 0)
            std::memcpy(to,
                        static_cast<const char*>(in[d_same[j]]) + index * d.out[j].bytes,
                        d.out[j].bytes);
        else
            std::memset(to, 0, d.out[j].bytes);
        add_item_tag(j, written(j, index), d_keys.bypassed, pmt::mp(reason));
    }
}

} // namespace diffsem
} // namespace gr
