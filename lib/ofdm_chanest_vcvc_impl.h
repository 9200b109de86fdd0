/*
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#pragma once

#include "live_block.h"
#include "live_scheme.h"
#include "tap_run.h"

#include <gnuradio/diffsem/core/infer/estimator.h>
#include <gnuradio/diffsem/core/link/ofdm.h>
#include <gnuradio/diffsem/ofdm_chanest_vcvc.h>

#include <string>
#include <vector>

namespace gr {
namespace diffsem {

class ofdm_chanest_vcvc_impl : public live_block<ofdm_chanest_vcvc>
{
public:
    //! Has nothing to run with `ls`.
    using plan = scheme_plan_of<tap_run>;

    ofdm_chanest_vcvc_impl(plan p,
                           core::SyncWords sync,
                           int n_data_symbols,
                           const ofdm_chanest_options& options);

    //! Loads and tries a scheme; throws where it does not fit.
    static plan prepare(diffsem::scheme::sptr handle,
                        const core::SyncWords& sync,
                        const scheme_settings& set,
                        float noise_var);

    void set_steps(int steps) override { d_live.set_steps(steps); }
    void set_eta(float eta) override { d_live.set_eta(eta); }
    void set_seed(uint64_t seed) override { d_live.set_seed(seed); }
    void set_noise_var(float noise_var) override;
    void set_scheme(diffsem::scheme::sptr scheme) override { d_live.set_scheme(scheme); }

    void forecast(int noutput_items, gr_vector_int& ninput_items_required) override;
    int general_work(int noutput_items,
                     gr_vector_int& ninput_items,
                     gr_vector_const_void_star& input_items,
                     gr_vector_void_star& output_items) override;

private:
    inference_ledger& ledger() override { return d_ledger; }
    void begin();
    float current_noise_var();
    void estimate(const gr_complex* in, int frames, const core::RunLimit& limit);
    void tag_frame(int frame, const gr_complex* taps);
    void move_tags(int frames);

    const keys d_keys;
    core::SyncWords d_sync;
    const int d_data_symbols;
    const int d_frame_symbols;
    const std::string d_extra_tags;
    const bool d_tag_error, d_tag_all;

    // the mutex of d_live holds
    float d_noise_var;
    bool d_tag_noise = false;

    // one frame each
    std::vector<int> d_offset;
    std::vector<float> d_noise;
    std::vector<core::ItemInfo> d_info;
    // N for each frame
    std::vector<gr_complex> d_ls, d_taps;
    std::vector<float> d_tap_noise, d_error;

    std::vector<tag_t> d_tags;
    uint64_t d_frames = 0;
    live_scheme<plan> d_live; // last
    plan& d;                  // of it
    inference_ledger& d_ledger;
};

} // namespace diffsem
} // namespace gr
