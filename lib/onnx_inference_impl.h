/*
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#pragma once

#include "finite.h"
#include "live_block.h"
#include "scheme_swap.h"

#include <gnuradio/diffsem/core/infer/estimator.h>
#include <gnuradio/diffsem/core/onnx/onnx_runner.h>
#include <gnuradio/diffsem/core/onnx/overlap.h>
#include <gnuradio/diffsem/onnx_inference.h>

#include <atomic>
#include <cstddef>
#include <memory>
#include <string>
#include <vector>

namespace gr {
namespace diffsem {

class onnx_inference_impl : public live_block<onnx_inference>
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
        bool finite(const char* data, std::size_t size) const
        {
            return type == core::StreamType::integer ||
                   all_finite(data, size, type == core::StreamType::real64);
        }
        bool no_number(const char* data, std::size_t size) const
        {
            return type != core::StreamType::integer &&
                   any_nan(data, size, type == core::StreamType::real64);
        }
    };

    using sources = std::vector<const void*>; //!< one for each input
    using targets = std::vector<void*>;       //!< one for each output

    //! One file, ready to run; a swap puts another in its place.
    struct model {
        std::string path, hash;
        core::CostModel cost; //!< of a run
        std::unique_ptr<core::OnnxRunner> run;
        std::unique_ptr<core::Overlap> overlap; //!< none: windows follow one another
        // Of one batch.
        std::vector<std::vector<char>> clean; //!< inputs without what is not finite
        sources clean_from;
        std::vector<std::vector<char>> windows, answers; //!< of overlap
        sources windows_from;
        targets windows_to;
        std::vector<char> dirty;          //!< it holds what is not finite
        std::vector<core::ItemInfo> info; //!< between batches: all were inferred

        static core::ItemInfo inferred();
        void make_buffers(const std::vector<port>& in, const std::vector<port>& out);
    };

    //! What make() has checked and worked out.
    struct plan {
        onnx_inference_options options;
        std::vector<port> in, out;
        int window = 0, hop = 0;
        std::unique_ptr<model> m;
    };

    static plan check(const std::string& path, const onnx_inference_options& options);
    //! Throws core::Error saying what of the ports differs.
    static void check_same_ports(const plan& running, const plan& next);
    static inference_ledger::offers offered(const onnx_inference_options& options);
    explicit onnx_inference_impl(plan p);

    void set_tag_items(bool tag_items) override { d_tag_items = tag_items; }
    void set_max_batch(int max_batch) override;
    void set_model(const std::string& path) override { d_swap.offer(replacement(path)); }
    int in_ports() const override { return static_cast<int>(d.in.size()); }
    int out_ports() const override { return static_cast<int>(d.out.size()); }
    int in_vlen(int port) const override { return at(d.in, port).vlen; }
    int out_vlen(int port) const override { return at(d.out, port).vlen; }
    std::string in_type(int port) const override { return stream_name(at(d.in, port).type); }
    std::string out_type(int port) const override { return stream_name(at(d.out, port).type); }
    int window() const override { return d.window; }
    int hop() const override { return d.hop; }
    int delay(int port) const override { return at(d.out, port).delay; }

    bool start() override;
    void forecast(int noutput_items, gr_vector_int& ninput_items_required) override;
    int general_work(int noutput_items,
                     gr_vector_int& ninput_items,
                     gr_vector_const_void_star& input_items,
                     gr_vector_void_star& output_items) override;

private:
    inference_ledger& ledger() override { return d_ledger; }
    static const port& at(const std::vector<port>& ports, int index);
    std::unique_ptr<model> replacement(const std::string& path) const;
    void begin();
    void swap();
    int waiting(const gr_vector_int& ninput_items) const;
    int compute(int waits,
                int most,
                const char* skip,
                const sources& input_items,
                const targets& output_items);
    void batch(const sources& in, int count, const targets& out, const char* skip);
    void infer(const sources& in, int count, const targets& out, const char* skip);
    bool clean(const sources& in, int count);
    void attempt(const sources& in, int first, int count, const targets& out);
    void bypass(const sources& in, int index, const targets& out, bool pass, const char* reason);
    void drop(int count);
    void find_resets(int count);
    void reset_where_said(int index);
    uint64_t written(std::size_t port, int index);
    void move_tags(int count, bool kept);
    void tag_outputs(int count);

    const keys d_keys;
    plan d;                  // of which only the model ever changes
    std::vector<int> d_same; // for each output the input that could stand for it, or -1
    std::atomic<int> d_max_batch;
    std::atomic<bool> d_tag_items;

    sources d_from, d_try_from; // where this batch lies
    targets d_to, d_try_to;
    std::vector<std::vector<tag_t>> d_tags;
    std::vector<tag_t> d_moved, d_reset_tags;
    std::vector<uint64_t> d_resets; // inferences that begin with the first state
    const pmt::pmt_t d_reset_key;
    bool d_reset_next = false; // one that was dropped should have
    uint64_t d_first = 0;      // index of the oldest inference that waits
    int d_done = 0;            // inferences of this call before this batch
    bool d_told = false;       // of this batch some were bypassed: model::info says which
    rate_limit d_log_limit{5.0};
    inference_ledger d_ledger;
    scheme_swap<model> d_swap; // last: its thread ends before what it calls
};

} // namespace diffsem
} // namespace gr
