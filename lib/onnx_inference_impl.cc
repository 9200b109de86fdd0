/*
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#include "onnx_inference_impl.h"

#include <gnuradio/io_signature.h>

#include <algorithm>
#include <cstring>

namespace gr {
namespace diffsem {

namespace {

constexpr std::chrono::milliseconds one_turn(1);
constexpr std::size_t min_output_bytes = std::size_t(1) << 18;

//! Stream items of one inference; the vector length must divide what the graph takes.
int items_of(const char* parameter, int vlen, std::size_t elements, const std::string& what)
{
    if (vlen < 0 || (vlen > 0 && elements % static_cast<std::size_t>(vlen)))
        throw core::Error(std::string(parameter) + " is " + text(vlen) + ", but the graph " + what +
                          " " + text(elements) +
                          " elements for one inference: give a divisor of it, or 0 for all");
    return vlen ? static_cast<int>(elements / static_cast<std::size_t>(vlen)) : 1;
}

onnx_inference_impl::plan check(const std::string& model, const onnx_inference_options& options)
{
    if (model.empty())
        throw core::Error("model is empty: give the path of an .onnx file");
    if (options.max_batch < 1 || options.max_batch > 4096)
        throw core::Error("max_batch is " + text(options.max_batch) + ": give 1 to 4096");
    core::OnnxRunnerOptions o;
    o.input = options.input;
    o.output = options.output;
    o.input_type = options.input_type;
    o.output_type = options.output_type;
    o.layout = options.layout;
    o.output_layout = options.output_layout;
    o.shape.assign(options.shape.begin(), options.shape.end());
    o.batch_axis = options.batch_axis;
    o.constants = options.constants;
    o.max_batch = options.max_batch;
    o.ort.library = options.onnxruntime;
    o.ort.device = options.device;
    o.ort.intra_op_threads = options.intra_op_threads;
    o.ort.spinning = options.spinning;

    onnx_inference_impl::plan p;
    p.run = std::make_unique<core::OnnxRunner>(model, o);
    const std::size_t in = p.run->input_elements(), out = p.run->output_elements();
    p.in_items = items_of("in_vlen", options.in_vlen, in, "takes");
    p.out_items = items_of("out_vlen", options.out_vlen, out, "gives");
    p.in_vlen = static_cast<int>(in) / p.in_items;
    p.out_vlen = static_cast<int>(out) / p.out_items;
    p.tag_items = options.tag_items;
    return p;
}

/*
 * NaN and Inf have an exponent of all ones: one more overflows into the sign's bit. Integers without
 * a branch, which compilers vectorise; std::isfinite one by one would cost as much as a small net.
 */
bool all_finite(const char* data, std::size_t floats)
{
    std::uint32_t overflow = 0;
    for (std::size_t i = 0; i < floats; i++) {
        std::uint32_t bits;
        std::memcpy(&bits, data + i * sizeof bits, sizeof bits);
        overflow |= (bits & 0x7f800000u) + 0x00800000u;
    }
    return !(overflow & 0x80000000u);
}

//! The next batch, which lies in another core's cache, comes while the runtime computes this one.
void fetch_ahead(const char* data, std::size_t bytes)
{
    for (std::size_t i = 0; i < std::min<std::size_t>(bytes, 16384); i += 64)
        __builtin_prefetch(data + i, 0, 2);
}

bool any_nan(const char* data, std::size_t floats)
{
    for (std::size_t i = 0; i < floats; i++) {
        float x;
        std::memcpy(&x, data + i * sizeof x, sizeof x);
        if (std::isnan(x))
            return true;
    }
    return false;
}

} // namespace

onnx_inference::sptr onnx_inference::make(const std::string& model,
                                          const onnx_inference_options& options)
{
    return gnuradio::make_block_sptr<onnx_inference_impl>(check(model, options));
}

onnx_inference_impl::onnx_inference_impl(plan p)
    : gr::block("onnx_inference",
                gr::io_signature::make(1, 1, core::stream_size(p.run->input_type()) * p.in_vlen),
                gr::io_signature::make(1, 1, core::stream_size(p.run->output_type()) * p.out_vlen)),
      d(std::move(p)),
      d_in_bytes(core::stream_size(d.run->input_type()) * d.run->input_elements()),
      d_out_bytes(core::stream_size(d.run->output_type()) * d.run->output_elements()),
      d_same(d_in_bytes == d_out_bytes && d.run->input_type() == d.run->output_type()),
      d_max_batch(static_cast<int>(d.run->max_batch())),
      d_tag_items(d.tag_items),
      d_clean(d_in_bytes * d.run->max_batch()),
      d_replaced(d.run->max_batch())
{
    // Offsets are ours to map: the scheduler would round where rates differ.
    set_tag_propagation_policy(TPP_DONT);
    set_relative_rate(d.out_items, d.in_items);
    if (d.out_items > 1)
        set_output_multiple(d.out_items);
    // GNU Radio's 64 kB are soon full of small results, and then two threads change places.
    set_min_output_buffer(static_cast<long>(
        std::max<std::size_t>(min_output_bytes / output_signature()->sizeof_stream_item(0), 1)));
    message_port_register_out(d_keys.stats);
    if (!d.run->note().empty())
        d_logger->info("{}", d.run->note());
}

void onnx_inference_impl::set_max_batch(int max_batch)
{
    const int most = static_cast<int>(d.run->max_batch());
    if (max_batch < 1)
        throw core::Error("max_batch is " + text(max_batch) + ": give 1 to " + text(most));
    d_max_batch = std::min(max_batch, most);
}

void onnx_inference_impl::forecast(int, gr_vector_int& ninput_items_required)
{
    // One inference is enough to go on: what waits is taken, nothing more is waited for.
    ninput_items_required[0] = d.in_items;
}

int onnx_inference_impl::general_work(int noutput_items,
                                      gr_vector_int& ninput_items,
                                      gr_vector_const_void_star& input_items,
                                      gr_vector_void_star& output_items)
{
    const int waiting = std::min(noutput_items / d.out_items, ninput_items[0] / d.in_items);
    if (waiting < 1)
        return 0;
    const auto* in = static_cast<const char*>(input_items[0]);
    auto* out = static_cast<char*>(output_items[0]);
    const auto started = clock::now();
    const int most = d_max_batch;
    const uint64_t written = nitems_written(0);
    int done = 0, enough = most;
    // Handing over costs up to 20 us, several times a small net: with a backlog, go on for a while. The first
    // batch says how many that is, because a small net feels it when the clock is read.
    do {
        const int count = std::min(waiting - done, most);
        fetch_ahead(in + (done + count) * d_in_bytes,
                    std::min(waiting - done - count, most) * d_in_bytes);
        d_written = written + static_cast<uint64_t>(done) * d.out_items;
        infer(in + done * d_in_bytes, count, out + done * d_out_bytes);
        done += count;
        d_items += count;
        d_calls++;
        if (d_tag_items)
            tag_latency(count, started);
        if (done == count && done < waiting) {
            const auto took = std::max<clock::duration>(clock::now() - started, clock::duration(1));
            enough =
                count * static_cast<int>(std::min<clock::rep>(one_turn / took, waiting / count));
        }
    } while (done < std::min(waiting, enough));

    move_tags(done);
    report();
    consume_each(done * d.in_items);
    return done * d.out_items;
}

void onnx_inference_impl::tag_latency(int count, clock::time_point started)
{
    const pmt::pmt_t latency =
        pmt::from_double(std::chrono::duration<double>(clock::now() - started).count());
    for (int i = 0; i < count; i++)
        add_item_tag(0, d_written + i * d.out_items, d_keys.latency, latency);
}

void onnx_inference_impl::infer(const char* in, int count, char* out)
{
    const std::size_t floats = d_in_bytes / sizeof(float);
    std::fill_n(d_replaced.begin(), count, 0);
    if (all_finite(in, floats * count)) {
        attempt(in, 0, count, out);
    } else {
        for (int i = 0; i < count; i++) {
            const char* item = in + i * d_in_bytes;
            if (all_finite(item, floats))
                std::memcpy(&d_clean[i * d_in_bytes], item, d_in_bytes);
            else
                std::memset(&d_clean[i * d_in_bytes], 0, d_in_bytes);
        }
        attempt(d_clean.data(), 0, count, out);
        for (int i = 0; i < count; i++)
            if (!all_finite(in + i * d_in_bytes, floats))
                bypass(in, i, out, false, "nan");
    }
    if (d.run->output_type() == core::StreamType::integer)
        return;
    const std::size_t results = d_out_bytes / sizeof(float);
    if (all_finite(out, results * count))
        return; // an infinite result may be meant, one that is no number is not
    for (int i = 0; i < count; i++)
        if (any_nan(out + i * d_out_bytes, results))
            bypass(in, i, out, d_same, "nan");
}

// One inference that the runtime refuses must not spoil those computed with it.
void onnx_inference_impl::attempt(const char* in, int first, int count, char* out)
{
    const char* from = in + first * d_in_bytes;
    try {
        d.run->run(from, count, out + first * d_out_bytes);
    } catch (const std::exception& e) {
        if (count > 1) {
            for (int i = 0; i < count; i++)
                attempt(in, first + i, 1, out);
            return;
        }
        if (d_log_limit.due())
            d_logger->warn("inference {} failed: {}", d_items + first, e.what());
        bypass(in, first, out, d_same, "inference");
    }
}

void onnx_inference_impl::bypass(const char* in,
                                 int index,
                                 char* out,
                                 bool pass,
                                 const char* reason)
{
    if (d_replaced[index])
        return;
    d_replaced[index] = 1;
    char* to = out + index * d_out_bytes;
    if (pass)
        std::memcpy(to, in + index * d_in_bytes, d_out_bytes);
    else
        std::memset(to, 0, d_out_bytes);
    d_bypassed++;
    add_item_tag(
        0, d_written + index * d.out_items, d_keys.bypassed, *reason == 'n' ? d_nan : d_failed);
    if (d_log_limit.due())
        d_logger->warn("inference {} replaced by {} ({}); {} so far",
                       d_items + index,
                       pass ? "its input" : "zeros",
                       *reason == 'n' ? "its data are not finite" : "it failed",
                       d_bypassed.load());
}

void onnx_inference_impl::move_tags(int count)
{
    const uint64_t read = nitems_read(0);
    get_tags_in_range(d_tags, 0, read, read + count * d.in_items);
    for (tag_t& tag : d_tags) {
        const uint64_t item = tag.offset - read;
        const uint64_t whole = item / d.in_items, rest = item % d.in_items;
        tag.offset = nitems_written(0) + whole * d.out_items + rest * d.out_items / d.in_items;
        add_item_tag(0, tag);
    }
}

void onnx_inference_impl::report()
{
    if (!d_stats_limit.due())
        return;
    pmt::pmt_t stats = counters(d_items, 0, d_bypassed);
    stats = pmt::dict_add(stats, pmt::mp("calls"), pmt::from_uint64(d_calls));
    message_port_pub(d_keys.stats, stats);
}

} // namespace diffsem
} // namespace gr
