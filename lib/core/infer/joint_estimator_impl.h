/*
 * SPDX-License-Identifier: GPL-3.0-or-later
 *
 * What a JointEstimator is made of: joint_estimator.cc makes it, joint_estimator_run.cc is the way of one item. Private.
 */
#pragma once

#include <gnuradio/diffsem/core/infer/joint_estimator.h>

#include <gnuradio/diffsem/core/realtime/realtime.h>

#include "operators/block_operator.h"

#include <Eigen/Core>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

namespace gr {
namespace diffsem {
namespace core {

class JointEstimator::Impl
{
public:
    Impl(std::shared_ptr<const Scheme> scheme, const EstimatorOptions& options);
    void set_rounds(int rounds);
    void run_item(const Measurement& y, std::uint64_t index, const RunLimit& limit, ItemInfo& info);
    void write(std::size_t item, cfloat* const* means, float* const* variances) const;

    //! One unknown: what is believed of it, and what infers it.
    struct Part {
        std::string name;
        std::vector<std::int64_t> shape;
        std::size_t size = 0;
        Blocks blocks;
        std::shared_ptr<BlockOperator> look;
        std::unique_ptr<Estimator> run;
        std::vector<cfloat> prior_mean, mean, z;
        std::vector<float> prior_variance, variance;
        Eigen::MatrixXcd gram;
        Eigen::VectorXcd b;
        Belief belief() const { return {mean.data(), variance.data()}; }
    };

    std::shared_ptr<const Scheme> d_scheme;
    const JointParts& d_parts;
    std::vector<Part> d;
    CostModel d_trial_cost;
    std::size_t d_m = 0;
    int d_round_evaluations = 0; // of one round
    int d_rounds = 0;

    int max_evaluations() const { return d_rounds * d_round_evaluations; }

private:
    using Conditions = std::map<std::string, std::vector<float>>;
    void check_conditions(const Conditions& given) const;
    Conditions conditions_of(std::size_t unknown, const Conditions& given) const;
    void believe_prior(Part& part, const Conditions& told);
    void start();
    void keep_known(std::size_t u);
    const char* admit(const Measurement& y, ItemInfo& info) const; // why not; null: it is fit
    bool
    infer(const Measurement& y, std::uint64_t index, int rounds, ItemInfo& info, bool (*stop)());
    bool update(const Update& step, const Measurement& y, std::uint64_t index, ItemInfo& info);
    void least_squares(std::size_t u, const Measurement& y);
    void bypass(const Measurement& y, const char* reason, ItemInfo& info);
    float residual(const Measurement& y);
    void warm_up();

    std::vector<Update> d_updates;
    std::vector<cfloat> d_explained;
};

} // namespace core
} // namespace diffsem
} // namespace gr
