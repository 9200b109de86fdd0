/*
 * SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Run state of one stream. estimator.cc makes it, estimator_run.cc takes a batch through it.
 */
#pragma once

#include <gnuradio/diffsem/core/infer/condition.h>
#include <gnuradio/diffsem/core/realtime/realtime.h>
#include <gnuradio/diffsem/core/scheme/scheme.h>

#include "scheme/scheme_impl.h"

#include <complex>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

namespace gr {
namespace diffsem {
namespace core {

//! Evaluations of the denoiser in so many steps.
inline int evaluations(const SamplerEntry& sampler, int steps)
{
    return steps < 1 ? 0 : sampler.last_evaluations + (steps - 1) * sampler.step_evaluations;
}

class Estimator::Impl
{
public:
    Impl(std::shared_ptr<const Scheme> scheme, const EstimatorOptions& options);
    void set_observed(const std::vector<std::uint8_t>& observed);
    void set_steps(int steps);
    //! y_step and noise_step: from one item to the next, 0 for draws of the same one.
    void run(const cfloat* y,
             std::size_t y_step,
             std::size_t items,
             const float* noise_var,
             std::size_t noise_stride,
             std::size_t noise_step,
             std::uint64_t first,
             cfloat* mean,
             float* variance,
             ItemInfo* info,
             const RunLimit& limit);
    int max_evaluations() const;

    std::shared_ptr<const Scheme> d_scheme;
    const SchemeImpl& d_impl;
    EstimatorOptions d_options;
    float d_eta;
    std::size_t d_n = 0, d_m = 0;
    CostModel d_trial_cost;

private:
    // One item of a call to run(), and what is known of it before inference.
    struct Item {
        const cfloat* y;
        const float* noise;
        std::size_t noise_stride;
        cfloat* mean;
        float* variance;
        ItemInfo info;
        ItemInfo* out;
        double power;           // y was divided by its root
        double seen = 0;        // mean |y|^2 of what was measured
        float noise_factor = 1; // of the noise that was given, after updates
        float noise_at(std::size_t i) const
        {
            return noise_factor * noise[noise_stride == 1 ? 0 : i];
        }
    };

    void build();
    void warm_up();
    bool admit(Item& item, std::uint64_t index);
    bool measure_gain(Item& item) const;
    void normalise(std::size_t slot);
    void infer(int most_steps, int noise_updates);
    void set_levels();
    void update_noise();
    void begin_at_measurement();
    void begin_in_noise();
    bool finish(std::size_t slot, Item& item);
    void bypass(Item& item, const char* reason);
    void classical_variance(const Item& item) const;
    float residual(const Item& item);
    void flush(const RunLimit& limit);

    bool measured(std::size_t i) const { return !d_mask || d_mask[i]; }

    std::shared_ptr<const Operator> d_op;
    const std::uint8_t* d_mask = nullptr; // of d_op; null where everything is measured
    std::unique_ptr<SamplerRun> d_run;
    PosteriorDenoiser* d_posterior = nullptr; // of d_run, where the start leaves the measurement
    Plan d_plan{PlanParameters()};
    double d_matrix_power = 1; // mean |A x|^2 for a white unit-power x
    std::size_t d_measured = 0;
    int d_updates = 0; // of the noise of this batch
    bool d_all_measured = false;
    Tensor d_y, d_zero;
    Sigma d_noise, d_start, d_unit;
    std::vector<std::complex<double>> d_scratch;
    std::vector<Item> d_slots;
};

} // namespace core
} // namespace diffsem
} // namespace gr
