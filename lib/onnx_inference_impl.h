/*
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#pragma once

#include "block_helpers.h"

#include <gnuradio/diffsem/core/onnx_runner.h>
#include <gnuradio/diffsem/onnx_inference.h>

#include <atomic>

namespace gr {
namespace diffsem {

class onnx_inference_impl : public onnx_inference
{
public:
    //! What make() has checked and worked out.
    struct plan {
        std::unique_ptr<core::OnnxRunner> run;
        int in_vlen = 1, out_vlen = 1;
        int in_items = 1, out_items = 1; //!< stream items of one inference
        bool tag_items = false;
    };

    explicit onnx_inference_impl(plan p);

    void set_tag_items(bool tag_items) override { d_tag_items = tag_items; }
    void set_max_batch(int max_batch) override;
    int in_vlen() const override { return d.in_vlen; }
    int out_vlen() const override { return d.out_vlen; }
    std::string in_type() const override { return core::stream_name(d.run->input_type()); }
    std::string out_type() const override { return core::stream_name(d.run->output_type()); }
    uint64_t items_in() const override { return d_items; }
    uint64_t items_out() const override { return d_items; }
    uint64_t items_bypassed() const override { return d_bypassed; }

    void forecast(int noutput_items, gr_vector_int& ninput_items_required) override;
    int general_work(int noutput_items,
                     gr_vector_int& ninput_items,
                     gr_vector_const_void_star& input_items,
                     gr_vector_void_star& output_items) override;

private:
    using clock = std::chrono::steady_clock;
    void infer(const char* in, int count, char* out);
    void attempt(const char* in, int first, int count, char* out);
    void bypass(const char* in, int index, char* out, bool pass, const char* reason);
    void move_tags(int count);
    void tag_latency(int count, clock::time_point started);
    void report();

    const keys d_keys;
    const pmt::pmt_t d_nan = pmt::mp("nan"), d_failed = pmt::mp("inference");
    plan d;
    const std::size_t d_in_bytes, d_out_bytes; // of one inference
    const bool d_same;                         // its input could stand for its output
    std::atomic<int> d_max_batch;
    std::atomic<bool> d_tag_items;
    std::vector<char> d_clean;    // inputs without what is not finite
    std::vector<char> d_replaced; // of this call: an inference is bypassed once
    std::vector<tag_t> d_tags;
    uint64_t d_written = 0; // output offset of the batch that is computed
    std::atomic<uint64_t> d_items{0}, d_bypassed{0}, d_calls{0};
    rate_limit d_log_limit{5.0}, d_stats_limit{1.0};
};

} // namespace diffsem
} // namespace gr
