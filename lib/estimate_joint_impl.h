/*
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#pragma once

#include "live_block.h"
#include "live_scheme.h"

#include <gnuradio/diffsem/core/infer/joint_estimator.h>
#include <gnuradio/diffsem/estimate_joint.h>

#include <atomic>
#include <cstddef>
#include <memory>
#include <vector>

namespace gr {
namespace diffsem {

class estimate_joint_impl : public live_block<estimate_joint>
{
public:
    //! As scheme_plan, for several unknowns.
    struct plan {
        diffsem::scheme::sptr handle;
        std::shared_ptr<const core::Scheme> scheme;
        std::unique_ptr<core::JointEstimator> run;
        std::vector<std::size_t> sizes() const; //!< M, then elements of each unknown
    };

    estimate_joint_impl(plan p, const estimate_joint_options& options);

    void set_rounds(int rounds) override { d_live.set_steps(rounds); }
    void set_eta(float eta) override { d_live.set_eta(eta); }
    void set_seed(uint64_t seed) override { d_live.set_seed(seed); }
    void set_noise_var(float noise_var) override;
    void set_tag_items(bool tag_items) override;
    void set_scheme(diffsem::scheme::sptr scheme) override { d_live.set_scheme(scheme); }
    float noise_var() const override { return d_last_noise; }

    void forecast(int noutput_items, gr_vector_int& ninput_items_required) override;
    int general_work(int noutput_items,
                     gr_vector_int& ninput_items,
                     gr_vector_const_void_star& input_items,
                     gr_vector_void_star& output_items) override;

private:
    inference_ledger& ledger() override { return d_ledger; }
    void measure_noise(int items);
    void drop(int items);
    void move_tags(int items, bool kept);
    void tag_outputs(int items);
    plan another(diffsem::scheme::sptr handle, const scheme_settings& set) const;

    const keys d_keys;
    const estimate_joint_options d_options; // as given to make()
    const bool d_from_tags;
    const std::vector<std::size_t> d_sizes;
    const std::size_t d_unknowns;
    const pmt::pmt_t d_noise_key;

    // the mutex of d_live holds
    bool d_tag_items;
    float d_noise_var; // the parameter, or the last tag's

    std::vector<float> d_noise;
    std::vector<core::ItemInfo> d_info;
    std::vector<gr_complex*> d_means;
    std::vector<float*> d_variances;
    std::vector<tag_t> d_tags;
    uint64_t d_first = 0; // index of the oldest item that waits
    std::atomic<float> d_last_noise{0};
    live_scheme<plan> d_live; // last
    plan& d;                  // of it
    inference_ledger& d_ledger;
};

} // namespace diffsem
} // namespace gr
