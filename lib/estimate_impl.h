/*
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#pragma once

#include "inference_ledger.h"
#include "scheme_swap.h"

#include <gnuradio/diffsem/core/infer/estimator.h>
#include <gnuradio/diffsem/core/link/noise_estimate.h>
#include <gnuradio/diffsem/estimate.h>

#include <atomic>
#include <cstddef>
#include <memory>
#include <mutex>
#include <vector>

namespace gr {
namespace diffsem {

class estimate_impl : public estimate
{
public:
    enum class source { parameter, tag, null_carriers, repeated, repeated_pairs, delay_tail };

    //! What make() has checked and worked out.
    struct plan {
        diffsem::scheme::sptr handle;
        std::shared_ptr<const core::Scheme> scheme;
        estimate_options options;
        core::EstimatorOptions estimator;
        source noise = source::parameter;
        std::size_t input = 0, output = 0; //!< M and N
        std::unique_ptr<core::DelayTailNoise> tail;
        std::unique_ptr<core::Estimator> run;
        std::unique_ptr<core::Estimator> baseline; //!< least squares through a matrix
    };

    explicit estimate_impl(plan p);

    void set_steps(int steps) override;
    void set_eta(float eta) override;
    void set_seed(uint64_t seed) override;
    void set_noise_var(float noise_var) override;
    void set_tag_items(bool tag_items) override;
    void set_scheme(diffsem::scheme::sptr scheme) override;
    float noise_var() const override { return d_last_noise; }
    live_inference& live() override { return d_ledger; }

    void forecast(int noutput_items, gr_vector_int& ninput_items_required) override;
    int general_work(int noutput_items,
                     gr_vector_int& ninput_items,
                     gr_vector_const_void_star& input_items,
                     gr_vector_void_star& output_items) override;

private:
    const gr_complex* measure_noise(const gr_complex* in, int items);
    void noise_from_tags(const gr_complex* in, int items);
    float averaged(float noise, const gr_complex* y);
    void baseline(const gr_complex* y, int items, gr_complex* out);
    float observed_power(const gr_complex* y) const;
    void move_tags(int items, int ports, bool kept = true);
    void tag_outputs(int items);
    void drop(const gr_complex* in, int items);
    void begin();
    void swap();
    std::unique_ptr<plan> replacement(diffsem::scheme::sptr handle);
    void scheme_message(const pmt::pmt_t& message);

    const keys d_keys;
    const pmt::pmt_t d_noise_key;
    std::mutex d_mutex; // parameters against work
    plan d;
    const int d_per_output; // input items for each output item
    float d_noise_var;      // the parameter, or the last tag's
    bool d_from_snr = false;
    float d_rho = 1;
    double d_average = -1; // < 0: none yet

    std::vector<gr_complex> d_mean_of_two;
    std::vector<float> d_noise;
    std::vector<core::ItemInfo> d_info;
    std::vector<tag_t> d_tags;
    uint64_t d_first = 0; // index of the oldest item that waits
    std::atomic<float> d_last_noise{0};
    inference_ledger d_ledger;
    scheme_swap<plan> d_swap; // last: its thread ends before what it calls
};

} // namespace diffsem
} // namespace gr
