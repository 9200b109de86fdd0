/*
 * SPDX-License-Identifier: GPL-3.0-or-later
 *
 * How one step is taken. A sampler sees a denoiser, a state x = x0 + sigma n and its levels; whether
 * a measurement hides behind the denoiser is no concern of it.
 */
#pragma once

#include <gnuradio/diffsem/core/base/entry.h>
#include <gnuradio/diffsem/core/base/fields.h>
#include <gnuradio/diffsem/core/base/philox.h>
#include <gnuradio/diffsem/core/infer/plan.h>
#include <gnuradio/diffsem/core/priors/prior.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

namespace gr {
namespace diffsem {
namespace core {

//! What a callback sees after each evaluation.
struct Progress {
    int step;
    const Sigma& sigma;
    const Tensor& x;
    const Estimate& estimate;
};

//! Buffers of a run and what it needs to know; made once, used for every batch.
struct SamplerRun {
    //! denoiser: null where there is none to run (then `variance` and `x` are the start's).
    SamplerRun(std::shared_ptr<const Denoiser> denoiser,
               Domain domain,
               const std::vector<std::int64_t>& shape,
               std::size_t max_batch);

    //! Takes all memory now, so that no run of any sampler need.
    void reserve(std::size_t max_batch);

    std::shared_ptr<const Denoiser> denoiser;
    std::unique_ptr<Workspace> workspace;
    Levels levels;
    Rng rng;
    std::vector<std::uint64_t> items; //!< index in the stream of every item of the batch
    float eta = 0;                    //!< of ddim
    const std::map<std::string, double>* keys =
        nullptr; //!< what the scheme gives the sampler; may be null
    double key(const char* name, double fallback) const;
    std::function<void(const Progress&)> callback;
    bool (*stop)() = nullptr; //!< asked before each evaluation; true: it throws

    Tensor x; //!< in: the start; out: the result
    //! Of the first evaluation: there the state says exactly what is known, so this is the variance
    //! of the posterior (given an exact denoiser), whatever the sampler does next.
    std::vector<float> variance;
    bool has_variance = false;

    // Scratch of the samplers, taken when it is first needed, or by reserve().
    Sigma now, next, before;
    Estimate estimate, second;
    Tensor moved;
    std::vector<float> noise;

    //! D(x, now) into `estimate`; step counts them.
    void evaluate(int step);
};

//! Each key is read as a number, which run() finds by SamplerRun::key(); `check` may refuse it.
struct SamplerEntry : Entry {
    void (*run)(SamplerRun&);
    bool stochastic; //!< draws noise at its steps
    bool seeks_mean; //!< converges to the posterior mean, and takes +inf levels
    int last_evaluations, step_evaluations; //!< denoiser evaluations of the last and other steps
    void (*check)(const Fields&) = nullptr;
    int order = 1; //!< of an ODE solver: its error falls with this power of the step
    //! Its results at a plan of the default length are draws from the posterior, of its spread (0.85 .. 1.15: contract test).
    bool draws = false;
};

const std::vector<const SamplerEntry*>& samplers();

//! Evaluations of the denoiser in so many steps. Of a plan that measures its levels each step is a last one.
inline int evaluations(const SamplerEntry& sampler, const Plan& plan, int steps)
{
    if (steps < 1)
        return 0;
    const int others = plan.measured() ? sampler.last_evaluations : sampler.step_evaluations;
    // A last step that ends above 0 is like the others.
    const int last = plan.end() > 0 ? std::max(sampler.last_evaluations, sampler.step_evaluations)
                                    : sampler.last_evaluations;
    return last + (steps - 1) * others;
}

} // namespace core
} // namespace diffsem
} // namespace gr
