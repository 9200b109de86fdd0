/*
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#pragma once

#include "live_block.h"
#include "live_scheme.h"

#include <gnuradio/diffsem/core/infer/estimator.h>
#include <gnuradio/diffsem/core/link/blind_noise.h>
#include <gnuradio/diffsem/estimate.h>

#include <atomic>
#include <cstddef>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

namespace gr {
namespace diffsem {

class estimate_impl : public live_block<estimate>
{
public:
    enum class source { parameter, tag, null_carriers, repeated, repeated_pairs, delay_tail };

    struct plan : scheme_plan {
        using scheme_plan::scheme_plan;
        std::vector<uint8_t> observed;
        std::unique_ptr<core::Estimator>
            baseline; //!< for its classical answer, where y has no elements of x
        std::size_t input() const { return run->input_size(); }
        std::size_t output() const { return run->output_size(); }
        std::size_t content() const { return run->content_size(); } //!< 0: there is no codec
    };

    estimate_impl(plan p,
                  const estimate_options& options,
                  source noise,
                  std::unique_ptr<core::BlindNoise> blind);

    void set_steps(int steps) override;
    void set_eta(float eta) override { d_live.set_eta(eta); }
    void set_seed(uint64_t seed) override { d_live.set_seed(seed); }
    void set_noise_var(float noise_var) override;
    void set_tag_items(bool tag_items) override;
    void set_condition(const std::string& name, const std::vector<float>& values) override;
    void set_scheme(diffsem::scheme::sptr scheme) override { d_live.set_scheme(scheme); }
    float noise_var() const override { return d_last_noise; }

    void forecast(int noutput_items, gr_vector_int& ninput_items_required) override;
    int general_work(int noutput_items,
                     gr_vector_int& ninput_items,
                     gr_vector_const_void_star& input_items,
                     gr_vector_void_star& output_items) override;

private:
    inference_ledger& ledger() override { return d_ledger; }
    using conditions = std::map<std::string, std::vector<float>>;

    // Samples are floats here: two of them in an element of a complex scheme, one of a real one.
    const float* measure_noise(const float* in, int items);
    void noise_from_tags(const float* in, int items);
    void baseline(const float* y, int items, float* out);
    void run(const float* y,
             int items,
             float* mean,
             float* variance,
             float* draws,
             const core::RunLimit& limit);
    void draw(const float* y, int item, float* draws, const core::RunLimit& limit);
    void tell(const pmt::pmt_t& said, bool only_known = false);
    void tell(const std::string& name, const std::vector<float>& values);
    void condition_message(const pmt::pmt_t& message);
    void tell_from_tag(const tag_t& tag);
    void find_telling_tags(int items);
    conditions kept_conditions(const core::Scheme& next) const;
    void move_tags(int items, int ports, bool kept = true);
    void tag_outputs(int items);
    void drop(const float* in, int items);
    plan another(diffsem::scheme::sptr handle, const scheme_settings& set) const;

    const keys d_keys;
    const estimate_options d_options; // as given to make()
    const source d_source;
    const std::unique_ptr<core::BlindNoise> d_blind;
    const std::size_t d_input, d_output; // M and N
    const std::size_t d_parts;           // floats in an element
    const std::size_t d_content;         // elements of the content; 0: there is no codec
    const std::vector<uint8_t> d_observed;
    const pmt::pmt_t d_noise_key;
    const int d_per_output; // input items for each output item

    // the mutex of d_live holds
    bool d_tag_items;
    float d_noise_var; // the parameter, or the last tag's
    bool d_from_snr = false;
    double d_snr_db = 0;

    mutable std::mutex d_said_mutex;
    conditions d_said; // conditions that were told while it ran
    rate_limit d_complaint{1.0};
    std::vector<tag_t> d_telling;
    std::vector<float> d_mean_of_two;
    std::vector<float> d_latent, d_baseline_latent; // where no port takes them
    std::vector<float> d_noise;
    std::vector<core::ItemInfo> d_info, d_draw_info;
    std::vector<tag_t> d_tags;
    uint64_t d_first = 0; // index of the oldest item that waits
    std::atomic<float> d_last_noise{0};
    live_scheme<plan> d_live; // last
    plan& d;                  // of it
    inference_ledger& d_ledger;
};

} // namespace diffsem
} // namespace gr
