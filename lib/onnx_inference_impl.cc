/*
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#include "onnx_inference_impl.h"

#include "finite.h"

#include <gnuradio/io_signature.h>

#include <algorithm>
#include <cstring>

namespace gr {
namespace diffsem {

namespace {

constexpr std::chrono::milliseconds one_turn(1);
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
      d_max_batch(static_cast<int>(d.run->max_batch())),
      d_tag_items(d.tag_items),
      d_from(d.in.size()),
      d_clean_from(d.in.size()),
      d_try_from(d.in.size()),
      d_to(d.out.size()),
      d_try_to(d.out.size()),
      d_windows_from(d.in.size()),
      d_windows_to(d.out.size()),
      d_replaced(d.run->max_batch()),
      d_dirty(d.run->max_batch()),
      d_tags(d.in.size())
{
    const std::size_t batch = d.run->max_batch();
    for (const port& in : d.in) {
        d_clean.emplace_back(in.bytes * batch);
        d_clean_from[d_clean.size() - 1] = d_clean.back().data();
        d_windows.emplace_back(d.overlap ? in.bytes * batch : 0);
        d_windows_from[d_windows.size() - 1] = d_windows.back().data();
    }
    for (const port& out : d.out) {
        d_answers.emplace_back(d.overlap ? out.bytes * batch : 0);
        d_windows_to[d_answers.size() - 1] = d_answers.back().data();
        d_same.push_back(-1);
        for (std::size_t i = d.in.size(); i-- > 0;)
            if (d.in[i].type == out.type && d.in[i].bytes == out.bytes)
                d_same.back() = static_cast<int>(i);
    }
    if (d.overlap)
        set_history(static_cast<unsigned>(d.overlap->window() - d.overlap->hop()) + 1);
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
    message_port_register_out(d_keys.stats);
    if (!d.run->note().empty())
        d_logger->info("{}", d.run->note());
}

const onnx_inference_impl::port& onnx_inference_impl::at(const std::vector<port>& ports, int index)
{
    if (index < 0 || index >= static_cast<int>(ports.size()))
        throw core::Error("port is " + text(index) + ": give 0 to " + text(ports.size() - 1));
    return ports[static_cast<std::size_t>(index)];
}

void onnx_inference_impl::set_max_batch(int max_batch)
{
    const int most = static_cast<int>(d.run->max_batch());
    if (max_batch < 1)
        throw core::Error("max_batch is " + text(max_batch) + ": give 1 to " + text(most));
    d_max_batch = std::min(max_batch, most);
}

bool onnx_inference_impl::start()
{
    // New buffers begin with zeros; after lock() and unlock() the stream goes on.
    if (d.overlap && nitems_read(0) == 0)
        d.overlap->reset();
    return block::start();
}

void onnx_inference_impl::forecast(int, gr_vector_int& ninput_items_required)
{
    // One inference is enough to go on: what waits is taken, nothing more is waited for.
    for (std::size_t i = 0; i < d.in.size(); i++)
        ninput_items_required[i] = d.in[i].items + static_cast<int>(history()) - 1;
}

//! Inferences for which every input has what they take, and every output has room.
int onnx_inference_impl::waiting(int noutput_items, const gr_vector_int& ninput_items) const
{
    int count = noutput_items / most_items(d.out);
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
    const int waits = waiting(noutput_items, ninput_items);
    if (waits < 1)
        return 0;
    const auto started = clock::now();
    const int most = d_max_batch;
    int enough = most;
    d_done = 0;
    // Handing over costs up to 20 us, several times a small net: with a backlog, go on for a while. The first
    // batch says how many that is, because a small net feels it when the clock is read.
    do {
        const int count = std::min(waits - d_done, most);
        const int next = std::min(waits - d_done - count, most);
        for (std::size_t i = 0; i < d.in.size(); i++) {
            const auto* in = static_cast<const char*>(input_items[i]) + d_done * d.in[i].step();
            fetch_ahead(in + count * d.in[i].step(), next * d.in[i].step());
            d_from[i] = in;
        }
        for (std::size_t j = 0; j < d.out.size(); j++)
            d_to[j] = static_cast<char*>(output_items[j]) + d_done * d.out[j].step();
        compute(d_from, count, d_to);
        if (d_tag_items)
            tag_latency(count, started);
        d_done += count;
        d_items += count;
        d_calls++;
        if (d_done == count && d_done < waits) {
            const auto took = std::max<clock::duration>(clock::now() - started, clock::duration(1));
            enough = count * static_cast<int>(std::min<clock::rep>(one_turn / took, waits / count));
        }
    } while (d_done < std::min(waits, enough));

    move_tags(d_done);
    report();
    for (std::size_t i = 0; i < d.in.size(); i++)
        consume(static_cast<int>(i), d_done * d.in[i].items);
    for (std::size_t j = 0; j < d.out.size(); j++)
        produce(static_cast<int>(j), d_done * d.out[j].items);
    return WORK_CALLED_PRODUCE;
}

//! `count` inferences that wait at `in`, at most a batch: their answers, tagged, to `out`.
void onnx_inference_impl::compute(const sources& in, int count, const targets& out)
{
    if (!d.overlap) {
        infer(in, count, out);
        return;
    }
    for (std::size_t i = 0; i < d.in.size(); i++)
        d.overlap->cut(i, in[i], count, d_windows[i].data());
    infer(d_windows_from, count, d_windows_to);
    for (std::size_t j = 0; j < d.out.size(); j++)
        d.overlap->join(j, d_answers[j].data(), count, out[j]);
}

//! Copies the batch without the inferences that hold NaN or Inf; false if there are none.
bool onnx_inference_impl::clean(const sources& in, int count)
{
    bool dirty = false;
    for (std::size_t i = 0; i < d.in.size(); i++)
        dirty = dirty || (!d.in[i].integer() && !all_finite(in[i], d.in[i].bytes * count));
    if (!dirty)
        return false;
    for (int k = 0; k < count; k++) {
        bool finite = true;
        for (std::size_t i = 0; i < d.in.size(); i++)
            finite = finite && (d.in[i].integer() ||
                                all_finite(static_cast<const char*>(in[i]) + k * d.in[i].bytes,
                                           d.in[i].bytes));
        d_dirty[k] = !finite;
        for (std::size_t i = 0; i < d.in.size(); i++) {
            char* to = &d_clean[i][k * d.in[i].bytes];
            if (finite)
                std::memcpy(to, static_cast<const char*>(in[i]) + k * d.in[i].bytes, d.in[i].bytes);
            else
                std::memset(to, 0, d.in[i].bytes);
        }
    }
    return true;
}

void onnx_inference_impl::infer(const sources& in, int count, const targets& out)
{
    std::fill_n(d_replaced.begin(), count, 0);
    if (!clean(in, count)) {
        attempt(in, 0, count, out);
    } else {
        attempt(d_clean_from, 0, count, out);
        for (int k = 0; k < count; k++)
            if (d_dirty[k])
                bypass(in, k, out, false, d_nan);
    }
    for (std::size_t j = 0; j < d.out.size(); j++) {
        const std::size_t bytes = d.out[j].bytes;
        if (d.out[j].integer() || all_finite(out[j], bytes * count))
            continue; // an infinite result may be meant, one that is no number is not
        for (int k = 0; k < count; k++)
            if (any_nan(static_cast<const char*>(out[j]) + k * bytes, bytes))
                bypass(in, k, out, true, d_nan);
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
        d.run->run(d_try_from.data(), count, d_try_to.data());
    } catch (const std::exception& e) {
        if (count > 1) {
            for (int k = 0; k < count; k++)
                attempt(in, first + k, 1, out);
            return;
        }
        if (d_log_limit.due())
            d_logger->warn("inference {} failed: {}", d_items + first, e.what());
        bypass(in, first, out, true, d_failed);
    }
}

void onnx_inference_impl::bypass(const sources& in,
                                 int index,
                                 const targets& out,
                                 bool pass,
                                 const pmt::pmt_t& reason)
{
    if (d_replaced[index])
        return;
    d_replaced[index] = 1;
    for (std::size_t j = 0; j < d.out.size(); j++) {
        char* to = static_cast<char*>(out[j]) + index * d.out[j].bytes;
        if (pass && d_same[j] >= 0)
            std::memcpy(to,
                        static_cast<const char*>(in[d_same[j]]) + index * d.out[j].bytes,
                        d.out[j].bytes);
        else
            std::memset(to, 0, d.out[j].bytes);
        add_item_tag(j, written(j, index), d_keys.bypassed, reason);
    }
    d_bypassed++;
    if (d_log_limit.due())
        d_logger->warn("inference {} replaced by {} ({}); {} so far",
                       d_items + index,
                       pass && d_same[0] >= 0 ? "its input" : "zeros",
                       reason == d_nan ? "its data are not finite" : "it failed",
                       d_bypassed.load());
}

void onnx_inference_impl::report()
{
    if (!d_stats_limit.due())
        return;
    pmt::pmt_t stats = counters(d_items, 0, d_bypassed);
    stats = pmt::dict_add(stats, pmt::mp("block"), pmt::mp(alias()));
    stats = pmt::dict_add(stats, pmt::mp("calls"), pmt::from_uint64(d_calls));
    message_port_pub(d_keys.stats, stats);
}

} // namespace diffsem
} // namespace gr
