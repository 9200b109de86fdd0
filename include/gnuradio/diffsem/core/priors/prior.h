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
#include <gnuradio/diffsem/core/priors/schedule.h>
#include <gnuradio/diffsem/core/priors/side_input.h>

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

namespace gr {
namespace diffsem {
namespace core {

//! What a denoiser is and what it can do; fixed at construction.
struct Traits {
    Domain domain = Domain::complex;
    std::vector<std::int64_t> shape; //!< one item; empty: any length; -1: open
    bool tensor_sigma = false;       //!< takes a level for every element (else one per item)
    bool variance = false;           //!< fills Estimate::variance
    float sigma_min = 1e-3f;         //!< levels it was made for; it clamps by itself
    float sigma_max = 1e3f;          //!< also where an unobserved element enters a sampler
    ScheduleKeys schedule; //!< of its training, where the file says it; a plan inherits it
    float unit = 1;        //!< what its schedule's levels are divided by to be ours
    double macs = 0;       //!< real multiply-adds of one evaluation of one item, about
    int evaluations = 1;   //!< of the network behind it, in one call of denoise()
    std::vector<SideInput> conditions; //!< what it looks up in Workspace::context
    //! It sees a measurement at every level, but is not E[x0 | x, y] itself: what a draw carries from one level to the next
    //! carries its errors along.
    bool approximate = false;
    bool learned =
        false; //!< a network: its answer has an error of its own, which differences of it see
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
    //! vjp() can be asked.
    virtual bool has_vjp() const { return false; }
    /*!
     * out = J(x)^H v, J the derivative of the mean at x: the gradient of Re <v, D(x)>. A complex D need not be
     * holomorphic: J then is the derivative by real and imaginary part, and its adjoint belongs to Re <a, b>. For an MMSE
     * denoiser J = Cov[x0 | x] S^-1, S = diag(sigma^2) (second-order Tweedie), so that J^H v = S^-1 J (S v): without a
     * vjp(), differences of D along S v say it too, where everything is observed.
     * \param v   of the shape of the mean
     * \param out of the shape of x; set_batch() is called on it; 0 where x is not observed
     */
    virtual void vjp(const Tensor& /*x*/,
                     const Sigma& /*sigma*/,
                     const Tensor& /*v*/,
                     Workspace& /*workspace*/,
                     Tensor& /*out*/) const
    {
        throw Error("this denoiser has no vector-Jacobian product");
    }
};

//! A denoiser of [x; y], see Prior::joint().
class JointDenoiser : public Denoiser
{
public:
    //! Another operator of the same size, which has blocks(); workspaces stay good. Not while another thread denoises.
    virtual void replace(const Operator& op) = 0;
};

//! Immutable and shared between threads; all that changes lives in the workspace.
class Prior : public Denoiser
{
public:
    //! Registry name: "gaussian", "gmm", "qam", "onnx", "none".
    virtual const char* type() const = 0;
    /*!
     * Exact denoiser (x, y) -> E[x0 | x, y] for an operator kept as a matrix or as blocks, where the prior has one in
     * closed form; null where it has none. Its input holds [x; y] (N + M elements) and their levels.
     */
    virtual std::unique_ptr<JointDenoiser> joint(const Operator&) const { return nullptr; }
};

/*!
 * Metadata of an .onnx file, merged with its sidecar: an object keyed as in docs/model_contract.md
 * ("diffsem.role": ...); values that the contract calls JSON are parsed. Throws Error.
 */
Json read_onnx_metadata(const std::string& path, const LoadOptions& options);

//! What a member says of a network, in the place of what its file says.
struct OnnxSaid {
    std::map<std::string, std::string> metadata = {}; //!< by key, `diffsem.clip`
    Json condition = Json();                          //!< its side inputs; null: what the file says
    std::string vjp = {}; //!< path of its derivative's graph; empty: there is none
};

//! A trained network. Throws Error when the graph and what is said of it do not agree.
std::shared_ptr<const Prior>
make_onnx_prior(const std::string& path, const LoadOptions& options, const OnnxSaid& said = {});

struct PriorEntry : Entry {
    //! From the manifest's keys; null where there is none (the measurement is the answer). Throws Error.
    std::shared_ptr<const Prior> (*read)(const Fields& fields,
                                         const SignalShape& signal,
                                         const LoadOptions& options);
    bool network = false; //!< runs one: on the device that LoadOptions names
};

const std::vector<const PriorEntry*>& priors();

} // namespace core
} // namespace diffsem
} // namespace gr
