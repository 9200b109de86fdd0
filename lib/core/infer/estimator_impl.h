/*
 * SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Run state of one stream. estimator.cc makes it, estimator_run.cc takes a batch through it, estimator_guard.cc refuses what
 * contradicts its measurement, estimator_conditions.cc tells a conditional prior what it is to be told.
 */
#pragma once

#include <gnuradio/diffsem/core/infer/condition.h>
#include <gnuradio/diffsem/core/infer/estimator.h>
#include <gnuradio/diffsem/core/realtime/realtime.h>

#include <complex>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace gr {
namespace diffsem {
namespace core {

class Estimator::Impl
{
public:
    Impl(std::shared_ptr<const Scheme> scheme, const EstimatorOptions& options);
    void set_observed(const std::vector<std::uint8_t>& observed);
    void set_steps(int steps);
    void set_eta(float eta);
    void set_seed(std::uint64_t seed);
    void set_noise_freedom(float freedom);
    void set_operator(std::shared_ptr<const Operator> op, const std::vector<std::int64_t>& shape);
    void set_context(const std::string& name, const float* values, std::size_t count);
    void set_condition(const std::string& name, const float* values, std::size_t count);
    void set_conditions(const std::string& name, const float* values, std::size_t items);
    void reset();
    //! Items of one call, in the memory of its caller.
    struct Call {
        const float* y;
        std::size_t in_parts; //!< floats of an element of y and of mean, 2 for complex numbers
        std::size_t y_step; //!< floats from one item to the next; 0: all are draws of the same one
        std::size_t items;
        const float* noise_var;
        std::size_t noise_stride, noise_step; //!< of one item; to the next, 0 as above
        std::uint64_t first;
        float* mean;
        float* variance; //!< may be null
        ItemInfo* info;  //!< may be null
    };
    void run(const Call& call, const RunLimit& limit);
    int max_evaluations() const;
    void check_draws() const;
    bool draws() const;

    std::shared_ptr<const Scheme> d_scheme;
    const SchemeInfo& d_info;
    const SchemeParts& d_parts;
    EstimatorOptions d_options;
    const std::shared_ptr<const Codec> d_codec; // null where x is the content
    float d_eta = 0;
    std::size_t d_n = 0, d_m = 0;
    CostModel d_trial_cost;
    std::uint64_t d_counted = 0; // items, of callers that count none

private:
    // One item of a call to run(), and what is known of it before inference.
    struct Item {
        const float* y;
        std::size_t in_parts;
        const float* noise;
        std::size_t noise_stride;
        float* mean;
        float* variance;
        ItemInfo info;
        ItemInfo* out;
        double power = 1;         // y was divided by its root
        double seen = 0;          // mean |y|^2 of what was measured
        std::size_t measured = 0; // elements
        float noise_factor = 1;   // of the noise that was given, after updates
        double missed = -1;       // |y - A(x)|^2 of the answer; below 0: not computed
        // What was spent on it before another member took over.
        int spent = 0, spent_planned = 0;
        double spent_seconds = 0;
        std::size_t place = 0; // among the items of the run
        std::uint64_t index = 0;
        bool drawing = false; // its answer shall be a draw, whoever gives it
        float noise_at(std::size_t i) const
        {
            return noise_factor * noise[noise_stride == 1 ? 0 : i];
        }
    };

    void build();
    void take_operator(std::shared_ptr<const Operator> op);
    void take_memory(const std::vector<std::int64_t>& shape);
    void warm_up();
    void admit(Item& item);
    bool measure_gain(Item& item) const;
    void normalise(std::size_t slot);
    void infer(int most_steps, int noise_updates);
    void set_levels();
    void update_noise();
    void begin_at_measurement();
    void begin_at_linear_answer();
    void begin_in_noise();
    void draw_nearest();
    void account(std::size_t slot, Item& item) const;
    bool finish(std::size_t slot, Item& item);
    void bypass(Item& item, const char* reason);
    void write_mean(const float* from, float gain, Item& item) const;
    void classical_variance(const Item& item) const;
    void classical_draw(const Item& item);
    Rng random() const;
    float residual(const Item& item, std::size_t slot);
    void take(Item& item);
    bool full() const;
    void flush(const RunLimit& limit);
    bool contradicted(Item& item, std::size_t slot);
    void fall_back(std::size_t slot, Item& item);
    bool few(const Item& item) const;
    bool drawing() const;
    bool pass_on(const Item& item);
    void make_fallback();

    bool measured(std::size_t i) const { return !d_mask || d_mask[i]; }
    bool measured(const Item& item, std::size_t i) const
    {
        return measured(i) && item.noise[item.noise_stride == 1 ? 0 : i] < Sigma::unobserved();
    }
    //! Its noise is infinite, for this item alone. (Of a whole item that is no noise to work with.)
    static bool lost(const Item& item, std::size_t i)
    {
        return item.noise_stride > 1 && item.noise[i] == Sigma::unobserved();
    }
    // What the prior is told beside x and sigma.
    struct Told {
        SideInput input;
        std::size_t at;              // of d_context
        std::vector<float> now;      // for all items; of the previous answer, that
        const float* each = nullptr; // for every item of this run
        std::vector<std::vector<float>>
            taken; // values without a declared range that the graph did not fail on
        std::size_t items = 0;
    };
    void make_conditions();
    Told& told(const std::string& name);
    Told& tellable(const std::string& name);
    void tell(std::size_t slot, const Item& item);
    bool is_known(const Told& t, const float* values) const;
    void try_row(Told& t, const float* values);
    void admit_trial(std::size_t index);
    void remember(std::size_t slot);
    void end_run();

    bool usable(float noise) const;
    //! One infinite noise variance for the whole item: nothing is known of it but the prior.
    bool nothing_measured(const Item& item) const
    {
        return d_takes_lost && !d_parts.start->consumes_measurement && !d_info.measured_gain &&
               d_parts.prior && item.noise[0] == Sigma::unobserved();
    }
    const float* spectrum() const; // that the item brought; null where there is none of its size

    std::shared_ptr<const Operator> d_op;
    const std::uint8_t* d_mask = nullptr; // of d_op; null where everything is measured
    std::unique_ptr<SamplerRun> d_run;
    PosteriorDenoiser* d_posterior = nullptr; // of d_run, where the start leaves the measurement
    Plan d_plan{PlanParameters()};
    State d_context; // what the items bring along
    std::vector<Told> d_told;
    bool d_remembers = false; // the prior is told the previous answer
    bool d_tried = false; // a trial run has succeeded: what is told from now on can be tried too
    std::vector<float> d_trial_y, d_trial_x, d_trial_variance, d_trial_noise;
    int d_each = 1; // evaluations of the network in one of what the sampler sees
    std::vector<std::int64_t> d_shape;
    std::size_t d_parts_of_x = 2; // floats of an element of the domain
    std::size_t d_batch = 0;      // items at once
    std::size_t d_measured = 0;
    int d_updates = 0; // of the noise of this batch
    double d_seconds = 0;
    bool d_open = false; // the size comes with the operator
    bool d_all_measured = false;
    bool d_takes_lost = false;   // an element of infinite noise can be marked
    bool d_linear_start = false; // the start is the linear answer under the items' spectrum
    Tensor d_y, d_zero, d_raw_y, d_raw_x;
    Sigma d_noise, d_start, d_unit;
    std::vector<std::complex<double>> d_scratch;
    std::vector<Item> d_slots;
    std::unique_ptr<Impl> d_fallback; // answers in this one's place; none: least squares
};

} // namespace core
} // namespace diffsem
} // namespace gr
