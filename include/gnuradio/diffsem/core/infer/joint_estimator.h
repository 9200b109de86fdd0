/*
 * SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Runs a scheme of several unknowns: one-unknown inferences in turn, in the order of the scheme's driver.
 */
#pragma once

#include <gnuradio/diffsem/core/infer/estimator.h>
#include <gnuradio/diffsem/core/infer/joint_scheme.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace gr {
namespace diffsem {
namespace core {

class CostModel;

/*!
 * Run state of one stream, as an Estimator is of a scheme of one unknown. Each update is a run of an ordinary Estimator on
 * what y says of that unknown while the others are as they are believed: a block-diagonal look with noise of variance 1. Not
 * thread safe. run() never throws on data: an item that cannot be inferred is bypassed (least squares from the known
 * elements, then least squares for the rest; 0 where nothing is known) and marked. Nothing in it allocates where the priors
 * answer in closed form.
 */
class JointEstimator
{
public:
    //! options: steps are rounds here, items go one by one whatever max_batch is, and each condition is told to the unknowns
    //! whose priors take it; matrix, observed and noise_freedom are refused. Throws Error for what does not fit.
    JointEstimator(std::shared_ptr<const Scheme> scheme, const EstimatorOptions& options);
    ~JointEstimator();

    /*!
     * \param y         items x M
     * \param noise_var variance per element of y: one per item (noise_stride 1) or one per element (noise_stride M);
     *                  infinite: the element is lost, and y may be anything there
     * \param first     index of the first item in the stream
     * \param means     for each unknown items x its size
     * \param variances the same, of E|x - mean|^2; null, or null for one unknown: not wanted. NaN where an item was bypassed
     * \param info      items, may be null. `steps` are evaluations of all priors together
     * \param limit     evaluations of an item at most: the run is one of fewer rounds
     */
    void run(const cfloat* y,
             std::size_t items,
             const float* noise_var,
             std::size_t noise_stride,
             std::uint64_t first,
             cfloat* const* means,
             float* const* variances,
             ItemInfo* info,
             const RunLimit& limit = {});

    void set_steps(int rounds); //!< 0: the scheme's own
    void set_eta(float eta);
    void set_seed(std::uint64_t seed);
    const Scheme& scheme() const;
    int max_evaluations() const; //!< of one item
    const CostModel& trial_cost() const;
    std::size_t input_size() const; //!< M
    std::size_t unknowns() const;
    const std::string& name(std::size_t unknown) const;
    std::size_t output_size(std::size_t unknown) const;
    const std::vector<std::int64_t>& shape(std::size_t unknown) const;

private:
    class Impl;
    std::unique_ptr<Impl> d;
};

} // namespace core
} // namespace diffsem
} // namespace gr
