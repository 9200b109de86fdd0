/*
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#pragma once

#include "frame_format.h"

#include <gnuradio/diffsem/core/link/preamble.h>
#include <gnuradio/fft/fft.h>

#include <atomic>
#include <cstddef>
#include <vector>

namespace gr {
namespace diffsem {

class frame_sync_cvc_impl : public frame_sync_cvc
{
public:
    frame_sync_cvc_impl(core::FrameLayout layout, core::PreambleCorrelator correlator);

    std::vector<gr_complex> sync_reference() const override { return d_front.sync_reference(); }
    int header_symbols() const override { return d_front.layout().header_symbols(); }
    uint64_t frames_found() const override { return d_found; }
    uint64_t frames_out() const override { return d_out; }
    uint64_t frames_recognised() const override { return d_recognised; }

    void forecast(int noutput_items, gr_vector_int& ninput_items_required) override;
    int general_work(int noutput_items,
                     gr_vector_int& ninput_items,
                     gr_vector_const_void_star& input_items,
                     gr_vector_void_star& output_items) override;

private:
    void score();
    bool search();
    bool read_header();
    bool read_frame();
    void spectrum(int symbol, gr_complex* out);
    void forget();
    void report();

    const keys d_keys;
    core::FrameFront d_front;
    core::PreambleCorrelator d_correlator;
    core::HeaderTracker d_tracker;
    gr::fft::fft_complex_fwd d_fft;
    const int d_len, d_symbol, d_hold, d_look;

    // Zeros before the stream: what stands in front (a resampler, a radio) may have eaten the beginning of the first
    // frame, whose guard interval can be missed.
    const std::size_t d_lead;
    std::vector<gr_complex> d_samples; // from sample d_base on, d_lead of which are those zeros
    uint64_t d_base = 0;
    uint64_t d_heard = 0; // end of the last frame
    std::vector<float> d_score;
    std::vector<uint8_t> d_grid;
    std::size_t d_position = 0; // first one not examined

    enum class state { search, header, frame } d_state = state::search;
    std::size_t d_start = 0,
                d_next = 0;          // the frame's first sample; where to go on without a header
    double d_offset = 0, d_step = 0; // carrier spacings; rad per symbol that are left
    core::FrameHeader d_header;
    int d_payload = 0;

    std::vector<gr_complex> d_vectors; // of the frame that goes out
    std::size_t d_sent = 0;
    std::vector<tag_t> d_tags;

    std::atomic<uint64_t> d_found{0}, d_out{0}, d_recognised{0}, d_blanked{0};
    rate_limit d_stats_limit{1.0};
};

} // namespace diffsem
} // namespace gr
