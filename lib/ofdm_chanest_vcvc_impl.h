/*
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#pragma once

#include "block_helpers.h"

#include <gnuradio/diffsem/core/ofdm.h>
#include <gnuradio/diffsem/ofdm_chanest_vcvc.h>

#include <atomic>
#include <mutex>

namespace gr {
namespace diffsem {

class ofdm_chanest_vcvc_impl : public ofdm_chanest_vcvc
{
public:
    ofdm_chanest_vcvc_impl(std::shared_ptr<const core::Scheme> scheme,
                           core::SyncWords sync,
                           int n_data_symbols,
                           float noise_var,
                           const std::string& extra_tags,
                           int steps,
                           uint64_t seed);

    void set_steps(int steps) override;
    void set_eta(float eta) override;
    void set_seed(uint64_t seed) override;
    void set_noise_var(float noise_var) override;
    uint64_t frames_in() const override { return d_frames; }
    uint64_t frames_out() const override { return d_frames; }
    uint64_t frames_bypassed() const override { return d_bypassed; }

    void forecast(int noutput_items, gr_vector_int& ninput_items_required) override;
    int general_work(int noutput_items,
                     gr_vector_int& ninput_items,
                     gr_vector_const_void_star& input_items,
                     gr_vector_void_star& output_items) override;

private:
    void estimate(const gr_complex* in, int frames);
    void move_tags(int frames);
    void report();

    static constexpr int max_batch = 32;

    const keys d_keys;
    std::mutex d_mutex; // parameters against work
    core::SyncWords d_sync;
    const int d_data_symbols;
    const int d_frame_symbols;
    std::unique_ptr<core::Estimator> d_estimator; // none with `ls`
    float d_noise_var;
    bool d_tag_noise, d_tag_error;

    // one frame each
    std::vector<int> d_offset;
    std::vector<float> d_noise;
    std::vector<core::ItemInfo> d_info;
    // N for each frame
    std::vector<gr_complex> d_ls, d_taps;
    std::vector<float> d_tap_noise, d_error;

    std::vector<tag_t> d_tags;
    std::atomic<uint64_t> d_frames{0}, d_bypassed{0};
    rate_limit d_log_limit{5.0}, d_stats_limit{1.0};
};

} // namespace diffsem
} // namespace gr
