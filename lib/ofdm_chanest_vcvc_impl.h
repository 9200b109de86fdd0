/*
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#pragma once

#include "inference_ledger.h"
#include "scheme_swap.h"

#include <gnuradio/diffsem/core/infer/estimator.h>
#include <gnuradio/diffsem/core/link/ofdm.h>
#include <gnuradio/diffsem/ofdm_chanest_vcvc.h>

#include <atomic>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

namespace gr {
namespace diffsem {

class ofdm_chanest_vcvc_impl : public ofdm_chanest_vcvc
{
public:
    //! What belongs to the scheme, and is exchanged with it.
    struct plan {
        diffsem::scheme::sptr handle;
        std::shared_ptr<const core::Scheme> scheme;
        std::unique_ptr<core::Estimator> estimator; //!< none with `ls`
    };
    struct settings {
        int steps = 0;
        float eta = -1;
        uint64_t seed = 0;
        float noise_var = 0;
    };

    ofdm_chanest_vcvc_impl(plan p,
                           core::SyncWords sync,
                           int n_data_symbols,
                           const settings& set,
                           const std::string& extra_tags,
                           const live_options& live);

    //! Loads and tries a scheme; throws where it does not fit.
    static plan
    prepare(diffsem::scheme::sptr handle, const core::SyncWords& sync, const settings& set);

    void set_steps(int steps) override;
    void set_eta(float eta) override;
    void set_seed(uint64_t seed) override;
    void set_noise_var(float noise_var) override;
    void set_scheme(diffsem::scheme::sptr scheme) override;
    live_inference& live() override { return d_ledger; }

    void forecast(int noutput_items, gr_vector_int& ninput_items_required) override;
    int general_work(int noutput_items,
                     gr_vector_int& ninput_items,
                     gr_vector_const_void_star& input_items,
                     gr_vector_void_star& output_items) override;

private:
    void begin();
    void swap();
    std::unique_ptr<plan> replacement(diffsem::scheme::sptr handle);
    void scheme_message(const pmt::pmt_t& message);
    void estimate(const gr_complex* in, int frames, const core::RunLimit& limit);
    void tag_frame(int frame, const gr_complex* taps);
    void move_tags(int frames);

    const keys d_keys;
    std::mutex d_mutex; // parameters against work
    core::SyncWords d_sync;
    const int d_data_symbols;
    const int d_frame_symbols;
    const std::string d_extra_tags;
    plan d;
    settings d_set;
    bool d_tag_noise = false;
    const bool d_tag_error, d_tag_all;

    // one frame each
    std::vector<int> d_offset;
    std::vector<float> d_noise;
    std::vector<core::ItemInfo> d_info;
    // N for each frame
    std::vector<gr_complex> d_ls, d_taps;
    std::vector<float> d_tap_noise, d_error;

    std::vector<tag_t> d_tags;
    uint64_t d_frames = 0;
    inference_ledger d_ledger;
    scheme_swap<plan> d_swap; // last: its thread ends before what it calls
};

} // namespace diffsem
} // namespace gr
