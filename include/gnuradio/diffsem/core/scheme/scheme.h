/*
 * SPDX-License-Identifier: GPL-3.0-or-later
 *
 * The face of the core: a Scheme is loaded once, immutable and shared; an Estimator holds the run
 * state of one stream (buffers, random counter) and is owned by whoever runs it. Blocks, bindings
 * and tests use these two and need nothing else.
 */
#pragma once

#include <gnuradio/diffsem/core/base/error.h>
#include <gnuradio/diffsem/core/base/load_options.h>
#include <gnuradio/diffsem/core/base/types.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace gr {
namespace diffsem {
namespace core {

class CostModel;

//! What a scheme says of itself.
struct SchemeInfo {
    std::string spec;            //!< the string it was loaded from
    std::string package, member; //!< empty package for the built-in `ls`
    std::string title;
    std::string prior, op, start, sampler, plan; //!< registry names
    std::vector<std::int64_t> shape; //!< one item; empty: any length (`ls`); -1: any size
    bool complex_domain = true;
    bool measured_gain = false; //!< unknown input gain: normalised by measured power
    bool has_variance = false;  //!< the mean comes with a variance
    bool image = false;         //!< photographs [3, -1, -1]: run by PhotoEstimator (photo.h)
    int steps = 0;              //!< of the plan; 0 for no prior, 1 for one step
    std::string content_hash;   //!< SHA-256 of the package, hex
    std::string manifest_json;  //!< the manifest or metadata as JSON text
};

class SchemeImpl;

/*!
 * One choice of prior, operator, start, sampler and plan.
 * Throws Error when anything does not fit; never afterwards.
 */
class Scheme
{
public:
    static std::shared_ptr<const Scheme> load(const std::string& spec,
                                              const LoadOptions& options = {});
    ~Scheme();
    const SchemeInfo& info() const;
    //! Number of complex (or real) elements of one item; 0 = any, or photographs.
    std::size_t item_size() const;
    const SchemeImpl& impl() const { return *d_impl; }

private:
    explicit Scheme(std::unique_ptr<SchemeImpl> impl);
    std::unique_ptr<SchemeImpl> d_impl;
};

struct EstimatorOptions {
    //! N bytes, non-zero where the element is measured. Empty: all are.
    std::vector<std::uint8_t> observed;
    //! Row-major M x N measurement matrix, for the operator `matrix`; empty: the package's own.
    std::vector<cfloat> matrix;
    std::size_t matrix_rows = 0;
    std::size_t item_size = 0;  //!< N; must agree with the scheme unless that takes any
    std::size_t max_batch = 64; //!< items per inference; buffers are sized once
    int steps = 0;              //!< 0: the scheme's own
    float eta = -1.0f;          //!< < 0: the scheme's own
    std::uint64_t seed = 0;
    std::uint64_t stream = 0; //!< distinct random stream for each block of a flowgraph
};

//! What was done to one item.
struct ItemInfo {
    float noise_var = 0; //!< used (after noise_updates), per complex element, in the units of y
    float gain = 1;      //!< amplitude by which y was divided before inference
    int steps = 0;       //!< denoiser evaluations of this item; 0 when bypassed
    int planned = 0;     //!< evaluations had nothing been cut; 0 where it did not come to a plan
    bool bypassed = false;
    const char* reason =
        "";             //!< static text: why it was bypassed ("nan", "noise", "inference", ...)
    float residual = 0; //!< mean |y - A x|^2 over observed elements, over noise_var
};

//! What one call may cost.
struct RunLimit {
    int evaluations =
        -1; //!< most for each item: the plan is cut to them; 0: bypassed; -1: no limit
    const char* reason = "deadline"; //!< static text: why, where evaluations is 0
};

/*!
 * Runs a scheme over batches. Not thread safe: one per stream. run() never throws on data: an item
 * that cannot be inferred is bypassed (mean = A^H y, for a mask: y where observed, 0 elsewhere) and marked.
 */
class Estimator
{
public:
    Estimator(std::shared_ptr<const Scheme> scheme, const EstimatorOptions& options);
    ~Estimator();

    /*!
     * \param y         items x M complex measurements (M = N except for `matrix`)
     * \param items     any number; chunked by max_batch
     * \param noise_var variance per complex element of y: one per item (noise_stride 1) or one per
     *                  element (noise_stride M)
     * \param first     index of the first item in the stream: the counter of the random numbers
     * \param mean      items x N
     * \param variance  items x N, E|x - mean|^2 per element in the units of y; may be null. Without a
     *                  variance from the prior it is noise_var where observed (LS), NaN elsewhere
     * \param info      items, may be null
     * \param limit     what an item may cost: the cut plan is a whole one of fewer levels
     */
    void run(const cfloat* y,
             std::size_t items,
             const float* noise_var,
             std::size_t noise_stride,
             std::uint64_t first,
             cfloat* mean,
             float* variance,
             ItemInfo* info,
             const RunLimit& limit = {});

    /*!
     * K samples for one measurement (a single item of y and its noise): draws from the posterior where
     * the sampler draws (`ddpm`, or `ddim` with eta), else K times the same.
     * \param first index of the first draw in the stream of random numbers
     * \param draws count x N
     * \param info  count, may be null
     */
    void draw(const cfloat* y,
              std::size_t count,
              const float* noise_var,
              std::size_t noise_stride,
              std::uint64_t first,
              cfloat* draws,
              ItemInfo* info);

    void set_steps(int steps); //!< 0: the scheme's own
    void set_eta(float eta);
    void set_seed(std::uint64_t seed);
    //! Change which elements are measured (N bytes). Allocates; not for every call.
    void set_observed(const std::vector<std::uint8_t>& observed);
    const Scheme& scheme() const;
    int max_evaluations() const;         //!< of one item by the present plan; 0 for least squares
    const CostModel& trial_cost() const; //!< what evaluations took when the estimator was made
    std::size_t input_size() const;      //!< M
    std::size_t output_size() const;     //!< N

private:
    class Impl;
    std::unique_ptr<Impl> d;
};

//! Names of everything registered, for `gr-diffsem list` and the contract tests.
std::vector<std::string> prior_names();
std::vector<std::string> operator_names();
std::vector<std::string> start_names();
std::vector<std::string> sampler_names();
std::vector<std::string> plan_names();
//! Packages found on the search path: name and folder.
std::vector<std::pair<std::string, std::string>> find_packages(const LoadOptions& options = {});

} // namespace core
} // namespace diffsem
} // namespace gr
