/*
 * SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Runs a scheme: an Estimator holds the run state of one stream (buffers, random counter) and is owned by whoever runs
 * it; the Scheme behind it is immutable and shared.
 */
#pragma once

#include <gnuradio/diffsem/core/infer/scheme.h>

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

namespace gr {
namespace diffsem {
namespace core {

class CostModel;

struct EstimatorOptions {
    //! N bytes, non-zero where the element is measured. Empty: all are.
    std::vector<std::uint8_t> observed;
    //! Row-major M x N measurement matrix, for the operator `matrix`; empty: the scheme's own.
    std::vector<cfloat> matrix;
    std::size_t matrix_rows = 0;
    std::size_t item_size = 0;  //!< N; must agree with the scheme unless that takes any
    std::size_t max_batch = 64; //!< items per inference; buffers are sized once
    int steps = 0;              //!< 0: the scheme's own
    float eta = -1.0f;          //!< < 0: the scheme's own
    std::uint64_t seed = 0;
    std::uint64_t stream = 0; //!< of random numbers, of those that one seed has
    //! The stream where neither these options nor the scheme give a seed: each block of a process has its own.
    std::uint64_t unseeded_stream = 0;
    bool residual = true; //!< ItemInfo::residual is wanted
    //! Elements of noise alone whose mean power the noise variances come from; 0: they are known. See Scheme's guard.
    float noise_freedom = 0;
    //! The scheme's fallback is made now, so that run() never has to; else when it is first needed.
    bool fallback_now = true;
    //! Of a conditional prior, in the place of what the scheme's string says: {name: values}.
    std::map<std::string, std::vector<float>> conditions;
};

//! What was done to one item.
struct ItemInfo {
    float noise_var = 0; //!< used (after noise_updates), per complex element, in the units of y
    float gain = 1;      //!< amplitude by which y was divided before inference
    int steps = 0;       //!< denoiser evaluations of this item; 0 when bypassed, but for "guard"
    int planned = 0;     //!< evaluations had nothing been cut; 0 where it did not come to a plan
    bool bypassed = false;
    const char* reason =
        ""; //!< static text: why it was bypassed ("nan", "noise", "inference", "guard", ...)
    //! The posterior contradicted its measurement, and the member's fallback answered. Where that is least squares, or was
    //! refuted too, the item is bypassed with the reason "guard".
    bool guarded = false;
    //! Fewer elements were observed than the member asks for (fewest_observed), and its fallback answered.
    bool few_observed = false;
    float residual = 0; //!< mean |y - A(x)|^2 over observed elements, over noise_var
    double seconds = 0; //!< of the sampler, wall clock, for the whole batch that the item was in
};

//! What one call may cost.
struct RunLimit {
    int evaluations =
        -1; //!< most for each item: the plan is cut to them; 0: bypassed; -1: no limit
    const char* reason = "deadline"; //!< static text: why, where evaluations is 0
    //! Asked before each evaluation; true: the run ends soon, what is left of it bypassed for the reason "inference".
    bool (*stop)() = nullptr;
};

/*!
 * Runs a scheme over batches of items of any domain. Not thread safe: one per stream. run() never throws on data: an
 * item that cannot be inferred is bypassed (the operator's classical answer: y where observed, 0 elsewhere; A^H y;
 * linear MMSE behind `transform`) and marked.
 *
 * A scheme of open size (photographs) has no operator until set_operator(); buffers of the last size are kept.
 */
class Estimator
{
public:
    //! Throws Error for what does not fit the scheme.
    Estimator(std::shared_ptr<const Scheme> scheme, const EstimatorOptions& options);
    ~Estimator();

    /*!
     * \param y         items x M measurements, as a tensor has them: complex ones as (re, im)
     * \param items     any number; chunked by max_batch
     * \param noise_var variance per (complex) element of y: one per item (noise_stride 1) or one per
     *                  element (noise_stride M); infinite: the element is lost, and y may be anything there. 0 only
     *                  where the operator takes it as exact (`transform`)
     * \param first     index of the first item in the stream: the counter of the random numbers
     * \param mean      items x N
     * \param variance  items x N, E|x - mean|^2 per element in the units of y; may be null. NaN: unknown, of an answer
     *                  whose prior or guidance states none. Of least squares it is noise_var where observed
     * \param info      items, may be null
     * \param limit     what an item may cost: the cut plan is a whole one of fewer levels
     */
    void run(const float* y,
             std::size_t items,
             const float* noise_var,
             std::size_t noise_stride,
             std::uint64_t first,
             float* mean,
             float* variance,
             ItemInfo* info,
             const RunLimit& limit = {});
    //! The same on complex numbers; of a scheme of the real domain their real parts.
    void run(const cfloat* y,
             std::size_t items,
             const float* noise_var,
             std::size_t noise_stride,
             std::uint64_t first,
             cfloat* mean,
             float* variance,
             ItemInfo* info,
             const RunLimit& limit = {});

    //! Throws Error where the results of the scheme's sampler are no draws from the posterior, and names samplers whose are.
    void check_draws() const;
    //! Levels that a draw needs to be spread as the posterior is. A limit never leaves it fewer.
    static constexpr int least_draw_levels = 4;
    /*!
     * K draws from the posterior of one measurement (a single item of y and its noise); see check_draws().
     * \param first index of the first draw in the stream of random numbers
     * \param draws count x N
     * \param info  count, may be null
     * \param limit what each draw may cost
     */
    void draw(const float* y,
              std::size_t count,
              const float* noise_var,
              std::size_t noise_stride,
              std::uint64_t first,
              float* draws,
              ItemInfo* info,
              const RunLimit& limit = {});
    void draw(const cfloat* y,
              std::size_t count,
              const float* noise_var,
              std::size_t noise_stride,
              std::uint64_t first,
              cfloat* draws,
              ItemInfo* info,
              const RunLimit& limit = {});

    //! Real elements of an item that the scheme's codec makes of its mean; 0: there is no codec.
    std::size_t content_size() const;
    /*!
     * What run() found, as content. Never throws on data: an item that the decoder makes nothing finite of is 0, and
     * bypassed for the reason "decoder". Its time is added to ItemInfo::seconds. Allocates nothing.
     * \param mean    items x N, as run() gives it
     * \param content items x content_size()
     * \param info    items, of that run; may be null
     */
    void decode(const float* mean, std::size_t items, float* content, ItemInfo* info) const;

    //! Index of the first of so many further items, for callers that count none themselves.
    std::uint64_t count_on(std::size_t items);
    void set_steps(int steps); //!< 0: the scheme's own. Throws Error.
    void set_eta(float eta);   //!< below 0: the scheme's own. Throws Error.
    void set_seed(std::uint64_t seed);
    //! Of the noise variances to come; see EstimatorOptions. Throws Error.
    void set_noise_freedom(float freedom);
    /*!
     * Another operator from now on: of a scheme of open size with each item, which it then gives its size (shape: of one
     * item of x). Allocates where the size changes. Throws Error where it does not fit the scheme.
     */
    void set_operator(std::shared_ptr<const Operator> op,
                      const std::vector<std::int64_t>& shape = {});
    //! A named tensor that items bring along (count real values), for the items to come; a `spectrum` for `transform`.
    void set_context(const std::string& name, const float* values, std::size_t count);
    /*!
     * What a conditional prior is told from now on: of one of traits().conditions, all its values. Throws Error, and
     * nothing changed, for an unknown name, for values that do not fit, and for whole numbers that the network fails on:
     * those that are declared without a range are tried once, by an evaluation. Else it allocates nothing.
     */
    void set_condition(const std::string& name, const float* values, std::size_t count);
    /*!
     * The same for each item of the next run() apart: items x count values, which must outlive it. \p items must be
     * those of that run. What set_condition() said holds again afterwards.
     */
    void set_conditions(const std::string& name, const float* values, std::size_t items);
    //! Forgets the previous answer of the stream, where the prior is told that.
    void reset();
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

} // namespace core
} // namespace diffsem
} // namespace gr
