/*
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#pragma once

#include "frame_format.h"

#include <gnuradio/diffsem/core/link/frame_finder.h>
#include <gnuradio/diffsem/core/link/link_probe.h>
#include <gnuradio/fft/fft.h>

#include <atomic>
#include <cstddef>
#include <mutex>
#include <string>
#include <vector>

namespace gr {
namespace diffsem {

class frame_sync_cvc_impl : public frame_sync_cvc
{
public:
    frame_sync_cvc_impl(core::FrameLayout layout, core::PreambleCorrelator correlator);

    std::vector<gr_complex> sync_reference() const override { return d_finder.sync_reference(); }
    int header_symbols() const override { return d_finder.layout().header_symbols(); }
    uint64_t frames_found() const override { return d_found; }
    uint64_t frames_out() const override { return d_out; }
    uint64_t frames_recognised() const override { return d_recognised; }
    uint64_t preambles_skipped() const override { return d_skipped; }
    std::string hint() const override;
    bool stop() override;

    void forecast(int noutput_items, gr_vector_int& ninput_items_required) override;
    int general_work(int noutput_items,
                     gr_vector_int& ninput_items,
                     gr_vector_const_void_star& input_items,
                     gr_vector_void_star& output_items) override;

private:
    int send(gr_complex* out, int produced, int room);
    void tag_frame(uint64_t at);
    void report();
    void hear_hint();
    std::string interference() const;
    core::FrameFinder::Dft dft();

    const keys d_keys;
    const int d_len;
    gr::fft::fft_complex_fwd d_fft;
    core::LinkProbe d_probe;
    core::FrameFinder d_finder;
    mutable std::mutex d_hint_mutex;
    std::string d_hint;
    std::size_t d_left = 0; // values of its frame that are not sent

    // what another thread may ask for
    std::atomic<uint64_t> d_found{0}, d_out{0}, d_recognised{0}, d_skipped{0};
    rate_limit d_stats_limit{1.0};
};

} // namespace diffsem
} // namespace gr
