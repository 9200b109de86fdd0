/*
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#pragma once

#include "block_helpers.h"

#include <gnuradio/diffsem/core/onnx_runner.h>
#include <gnuradio/diffsem/core/overlap.h>
#include <gnuradio/diffsem/onnx_inference.h>

#include <atomic>

namespace gr {
namespace diffsem {

class onnx_inference_impl : public onnx_inference
{
public:
    struct port {
        core::StreamType type = core::StreamType::real;
        std::size_t bytes = 0; //!< of what the graph takes or gives for one inference
        int vlen = 1;
        int items = 1; //!< stream items that go by with one inference
        int delay = 0; //!< of an output, in items

        int item_bytes() const { return static_cast<int>(core::stream_size(type)) * vlen; }
        std::size_t step() const { return static_cast<std::size_t>(items) * item_bytes(); }
        bool integer() const { return type == core::StreamType::integer; }
    };

    //! What make() has checked and worked out.
    struct plan {
        std::unique_ptr<core::OnnxRunner> run;
        std::unique_ptr<core::Overlap> overlap; //!< none: windows follow one another
        std::vector<port> in, out;
        bool tag_items = false;
    };

    static plan check(const std::string& model, const onnx_inference_options& options);
    explicit onnx_inference_impl(plan p);

    void set_tag_items(bool tag_items) override { d_tag_items = tag_items; }
    void set_max_batch(int max_batch) override;
    int in_ports() const override { return static_cast<int>(d.in.size()); }
    int out_ports() const override { return static_cast<int>(d.out.size()); }
    int in_vlen(int port) const override { return at(d.in, port).vlen; }
    int out_vlen(int port) const override { return at(d.out, port).vlen; }
    std::string in_type(int port) const override { return stream_name(at(d.in, port).type); }
    std::string out_type(int port) const override { return stream_name(at(d.out, port).type); }
    int window() const override { return d.overlap ? static_cast<int>(d.overlap->window()) : 0; }
    int hop() const override { return d.overlap ? static_cast<int>(d.overlap->hop()) : 0; }
    int delay(int port) const override { return at(d.out, port).delay; }
    uint64_t items_in() const override { return d_items; }
    uint64_t items_out() const override { return d_items; }
    uint64_t items_bypassed() const override { return d_bypassed; }

    bool start() override;
    void forecast(int noutput_items, gr_vector_int& ninput_items_required) override;
    int general_work(int noutput_items,
                     gr_vector_int& ninput_items,
                     gr_vector_const_void_star& input_items,
                     gr_vector_void_star& output_items) override;

private:
    using clock = std::chrono::steady_clock;
    using sources = std::vector<const void*>; // one for each input
    using targets = std::vector<void*>;       // one for each output

    static const port& at(const std::vector<port>& ports, int index);
    int waiting(int noutput_items, const gr_vector_int& ninput_items) const;
    void compute(const sources& in, int count, const targets& out);
    void infer(const sources& in, int count, const targets& out);
    bool clean(const sources& in, int count);
    void attempt(const sources& in, int first, int count, const targets& out);
    void
    bypass(const sources& in, int index, const targets& out, bool pass, const pmt::pmt_t& reason);
    uint64_t written(std::size_t port, int index);
    void move_tags(int count);
    void tag_latency(int count, clock::time_point started);
    void report();

    const keys d_keys;
    const pmt::pmt_t d_nan = pmt::mp("nan"), d_failed = pmt::mp("inference");
    plan d;
    std::vector<int> d_same; // for each output the input that could stand for it, or -1
    std::atomic<int> d_max_batch;
    std::atomic<bool> d_tag_items;

    sources d_from, d_clean_from, d_try_from; // where this batch lies
    targets d_to, d_try_to;
    std::vector<std::vector<char>> d_clean; // inputs without what is not finite
    sources d_windows_from;                 // of overlap: what the graph takes and gives
    targets d_windows_to;
    std::vector<std::vector<char>> d_windows, d_answers;
    std::vector<char> d_replaced; // of this batch: an inference is bypassed once
    std::vector<char> d_dirty;    // of this batch: it holds what is not finite
    std::vector<std::vector<tag_t>> d_tags;
    std::vector<tag_t> d_moved;
    int d_done = 0; // inferences of this call before this batch
    std::atomic<uint64_t> d_items{0}, d_bypassed{0}, d_calls{0};
    rate_limit d_log_limit{5.0}, d_stats_limit{1.0};
};

} // namespace diffsem
} // namespace gr
