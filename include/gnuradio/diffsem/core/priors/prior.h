/*
 * SPDX-License-Identifier: GPL-3.0-or-later
 *
 * A prior is a denoiser: D(x, sigma) = E[x0 | x = x0 + sigma n]. Everything trained (eps, v, score,
 * flow) is converted to D once, inside its implementation.
 */
#pragma once

#include <gnuradio/diffsem/core/base/entry.h>
#include <gnuradio/diffsem/core/base/fields.h>
#include <gnuradio/diffsem/core/base/json.h>
#include <gnuradio/diffsem/core/base/load_options.h>
#include <gnuradio/diffsem/core/base/tensor.h>
#include <gnuradio/diffsem/core/operators/operator.h>
#include <gnuradio/diffsem/core/priors/side_input.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace gr {
namespace diffsem {
namespace core {

//! What a denoiser is and what it can do; fixed at construction.
struct Traits {
    Domain domain = Domain::complex;
    std::vector<std::int64_t> shape;   //!< one item; empty: any length; -1: open
    bool tensor_sigma = false;         //!< takes a level for every element (else one per item)
    bool variance = false;             //!< fills Estimate::variance
    float sigma_min = 1e-3f;           //!< levels it was made for; it clamps by itself
    float sigma_max = 1e3f;            //!< also where an unobserved element enters a sampler
    double macs = 0;                   //!< real multiply-adds of one evaluation of one item, about
    int evaluations = 1;               //!< of the network behind it, in one call of denoise()
    std::vector<SideInput> conditions; //!< what it looks up in Workspace::context
};

//! Result of one denoiser evaluation. Sized once by the caller.
struct Estimate {
    Tensor mean;
    std::vector<float> variance; //!< batch x elements: E|x0 - mean|^2 per element
    bool has_variance = false;
    bool want_variance = true; //!< set by the caller; a denoiser may save the work

    Estimate() = default;
    Estimate(Domain domain, const std::vector<std::int64_t>& shape, std::size_t max_batch)
        : mean(domain, shape, max_batch),
          variance(mean.elements() * max_batch)
    {
    }
    void set_batch(std::size_t batch)
    {
        mean.set_batch(batch);
        if (variance.size() < batch * mean.elements())
            variance.resize(batch * mean.elements());
    }
};

/*!
 * Run state of a denoiser: scratch memory, bound runtime buffers, temporal state, and the context
 * (side information) of a conditional net. Owned by whoever runs it, never shared between threads.
 */
class Workspace
{
public:
    virtual ~Workspace() = default;
    const State* context = nullptr; //!< named tensors a conditional denoiser looks up; may be null
};

/*!
 * (x, sigma, workspace) -> mean [, variance]: all that a sampler ever sees, whether or not a
 * measurement hides behind it.
 */
class Denoiser
{
public:
    virtual ~Denoiser() = default;
    virtual const Traits& traits() const = 0;
    //! Buffers for batches of up to max_batch items; allocates here so that denoise() need not.
    virtual std::unique_ptr<Workspace> make_workspace(std::size_t max_batch) const = 0;
    /*!
     * \param x     batch of the domain and shape of traits()
     * \param sigma levels of the same batch; per element only if traits().tensor_sigma. +inf marks
     *              an unobserved element (tensor_sigma), or an item of which nothing is known
     * \param out   set_batch() is called on it by the denoiser
     * May throw std::exception when inference fails; the caller bypasses the batch.
     */
    virtual void
    denoise(const Tensor& x, const Sigma& sigma, Workspace& workspace, Estimate& out) const = 0;
};

//! Immutable and shared between threads; all that changes lives in the workspace.
class Prior : public Denoiser
{
public:
    //! Registry name: "gaussian", "gmm", "onnx", "none".
    virtual const char* type() const = 0;
    /*!
     * Exact denoiser (x, y) -> E[x0 | x, y] for a dense operator, where the prior has one in closed
     * form; null where it has none. Its input holds [x; y] (N + M elements) and their levels.
     */
    virtual std::unique_ptr<Denoiser> joint(const Operator&) const { return nullptr; }
};

/*!
 * Metadata of an .onnx file, merged with its sidecar: an object keyed as in docs/model_contract.md
 * ("diffsem.role": ...); values that the contract calls JSON are parsed. Throws Error.
 */
Json read_onnx_metadata(const std::string& path, const LoadOptions& options);

/*!
 * A trained network. Throws Error when the graph and what is said of it do not agree.
 * \param condition its side inputs, in the place of what the file says of them; null: what the file says
 */
std::shared_ptr<const Prior> make_onnx_prior(const std::string& path,
                                             const LoadOptions& options,
                                             const Json& condition = Json());

struct PriorEntry : Entry {
    //! From the manifest's keys; null where there is none (the measurement is the answer). Throws Error.
    std::shared_ptr<const Prior> (*read)(const Fields& fields,
                                         const SignalShape& signal,
                                         const LoadOptions& options);
};

const std::vector<const PriorEntry*>& priors();

} // namespace core
} // namespace diffsem
} // namespace gr
