/*
 * SPDX-License-Identifier: GPL-3.0-or-later
 *
 * A trained net as a denoiser. Whatever it was trained to predict is turned into D here, once, and
 * since every parametrisation is linear in the net's output, in one form:
 *     D(x, sigma) = a(sigma) x + b(sigma) net(c(sigma) x, embedding(sigma))
 * The coefficients are those of the table at the end of docs/model_contract.md.
 */
#include <gnuradio/diffsem/core/onnx/ort.h>
#include <gnuradio/diffsem/core/priors/prior.h>

#include "base/derivative.h"
#include "onnx/onnx_sidecar.h"
#include "onnx/tensor_shape.h"
#include "priors/denoiser_spec.h"
#include "priors/denoiser_vjp.h"
#include "priors/picture_prior.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <map>
#include <stdexcept>
#include <vector>

namespace gr {
namespace diffsem {
namespace core {
namespace {

class OnnxWorkspace : public Workspace
{
public:
    OnnxWorkspace(const std::shared_ptr<const OrtSession>& session,
                  const DenoiserSpec& spec,
                  const DenoiserVjp* vjp,
                  std::size_t max_batch)
        : run(session, spec.inputs, spec.outputs, spec.batch_of(max_batch)),
          item(spec.width)
    {
        if (!vjp)
            return;
        derivative = std::make_unique<OrtRun>(
            vjp->session, vjp->inputs, vjp->outputs, spec.batch_of(max_batch));
        kept = Estimate(spec.is_complex ? Domain::complex : Domain::real, spec.shape, max_batch);
    }
    OrtRun run;
    std::unique_ptr<OrtRun> derivative; // none without a vjp, as what follows
    Estimate kept;                      // what enter() leaves, which the derivative has no use for
    std::vector<float> item;            // one item on its way into or out of the net's layout
};

class OnnxPrior : public Prior
{
public:
    OnnxPrior(const OnnxFile& file,
              const LoadOptions& options,
              const Json& condition,
              const OnnxFile* of_vjp)
        : d_spec(read_denoiser_spec(file, condition)),
          d_session(OrtSession::create(file, OrtOptions(options)))
    {
        check_outputs(file);
        d_traits.learned = true;
        d_traits.domain = d_spec.domain();
        d_traits.shape = d_spec.shape;
        d_traits.tensor_sigma = d_spec.level_per_element;
        d_traits.variance = d_spec.variance;
        d_traits.sigma_min = d_spec.sigma_min;
        d_traits.sigma_max = d_spec.sigma_max;
        d_traits.schedule = d_spec.schedule;
        d_traits.unit = d_spec.component_std;
        d_traits.macs = d_spec.macs;
        d_traits.conditions = d_spec.conditions;
        if (!of_vjp)
            return;
        d_vjp = std::make_unique<DenoiserVjp>(*of_vjp, file.path, d_spec, OrtOptions(options));
        check_denoiser_vjp(vjp_error(), of_vjp->path, file.path);
    }

    const char* type() const override { return "onnx"; }
    const Traits& traits() const override { return d_traits; }

    std::unique_ptr<Workspace> make_workspace(std::size_t max_batch) const override
    {
        return std::make_unique<OnnxWorkspace>(d_session, d_spec, d_vjp.get(), max_batch);
    }

    void
    denoise(const Tensor& x, const Sigma& sigma, Workspace& workspace, Estimate& out) const override
    {
        auto& w = static_cast<OnnxWorkspace&>(workspace);
        out.set_batch(x.batch());
        out.has_variance = d_spec.variance;
        const std::size_t at_once = w.run.max_batch();
        for (std::size_t first = 0; first < x.batch(); first += at_once) {
            const std::size_t n = std::min(at_once, x.batch() - first);
            for (std::size_t i = 0; i < n; ++i)
                enter(x, sigma, first + i, i, w, out);
            for (std::size_t k = 0; k < d_spec.conditions.size(); ++k)
                tell(k, x.batch(), first, n, w);
            // A graph of fixed batch runs whole; what its last items held before does no harm.
            w.run.run(d_spec.fixed_batch ? at_once : n);
            for (std::size_t i = 0; i < n; ++i)
                leave(sigma, first + i, i, w, out);
        }
    }

    bool has_vjp() const override { return d_vjp != nullptr; }

    //! With D = a x + b net(c x): J^H v = a v + c J_net^T (b v), element by element where levels are.
    void vjp(const Tensor& x,
             const Sigma& sigma,
             const Tensor& v,
             Workspace& workspace,
             Tensor& out) const override
    {
        if (!d_vjp)
            return Prior::vjp(x, sigma, v, workspace, out);
        auto& w = static_cast<OnnxWorkspace&>(workspace);
        w.kept.set_batch(x.batch());
        out.set_batch(x.batch());
        const std::size_t at_once = w.derivative->max_batch();
        for (std::size_t first = 0; first < x.batch(); first += at_once) {
            const std::size_t n = std::min(at_once, x.batch() - first);
            for (std::size_t i = 0; i < n; ++i) {
                enter(x, sigma, first + i, i, w, w.kept);
                pull(sigma, v.item(first + i), first + i, i, w);
            }
            for (std::size_t k = 0; k < d_spec.conditions.size(); ++k)
                tell(k, x.batch(), first, n, w);
            const std::size_t rows = d_spec.fixed_batch ? at_once : n;
            for (std::size_t k = 0; k < d_spec.inputs.size();
                 ++k) // what the denoiser would be told
                std::memcpy(w.derivative->input(k),
                            w.run.input(k),
                            d_spec.inputs[k].elements(rows) * elem_size(d_spec.inputs[k].type));
            w.derivative->run(rows);
            for (std::size_t i = 0; i < n; ++i)
                gradient(sigma, v.item(first + i), first + i, i, w, out.item(first + i));
        }
    }

private:
    struct Level {
        float sigma;  // as the net is told
        float shrink; // what x is multiplied by before it enters
    };

    /*
     * Beyond sigma_max, x is given the precision-weighted value x sigma_max^2 / sigma^2: as evidence
     * about x0 it then says the same, and it tends to the x = 0 of an unobserved element.
     */
    Level level(float sigma) const
    {
        if (!(sigma > d_spec.sigma_min)) // also NaN
            return {d_spec.sigma_min, 1.0f};
        if (sigma <= d_spec.sigma_max)
            return {sigma, 1.0f};
        const float ratio = d_spec.sigma_max / sigma; // 0 for infinite sigma
        return {d_spec.sigma_max, ratio * ratio};
    }

    //! Item b of x into row i of the net's input. Leaves a x in out.
    void enter(const Tensor& x,
               const Sigma& sigma,
               std::size_t b,
               std::size_t i,
               OnnxWorkspace& w,
               Estimate& out) const
    {
        const std::size_t components = d_spec.is_complex ? 2 : 1;
        const float* in = x.item(b);
        float* kept = out.mean.item(b);
        const bool each = d_spec.level_per_element;
        Coefficients k{};
        float shrink = 1, told = 0;
        for (std::size_t e = 0; e < d_spec.elements; ++e) {
            if (e == 0 || sigma.per_element()) {
                const Level l = level(sigma.at(b, each ? e : 0));
                k = d_spec.coefficients(l.sigma * d_spec.component_std);
                told = d_spec.embed(l.sigma * d_spec.component_std);
                shrink = l.shrink;
            }
            if (d_spec.embedding != Embedding::none && (each || e == 0))
                tell(w, each ? i * d_spec.elements + e : i, told);
            for (std::size_t c = 0; c < components; ++c) {
                const std::size_t at = e * components + c;
                // An unobserved element may hold anything, NaN included.
                const float value = shrink > 0 ? in[at] * shrink : 0.0f;
                kept[at] = k.a * value;
                w.item[at] = k.c * d_spec.scale_in * value;
            }
        }
        d_spec.to_net(w.item.data(), w.run.input_as<float>(0) + i * d_spec.width);
    }

    void tell(OnnxWorkspace& w, std::size_t at, float value) const
    {
        if (d_spec.inputs[1].type == ElemType::int64)
            w.run.input_as<std::int64_t>(1)[at] = std::llround(value);
        else
            w.run.input_as<float>(1)[at] = value;
    }

    //! Condition k of items first .. first + n - 1, from the context or as its null, into the net's input.
    void
    tell(std::size_t k, std::size_t batch, std::size_t first, std::size_t n, OnnxWorkspace& w) const
    {
        const SideInput& input = d_spec.conditions[k];
        const Unknown* given = w.context ? w.context->find(input.name) : nullptr;
        const std::size_t at = d_spec.first_condition() + k;
        if (given && given->x.batch() != 1 && given->x.batch() != batch)
            throw std::runtime_error("the condition '" + input.name + "' is of another batch");
        if (!given && input.null.empty())
            throw std::runtime_error("the condition '" + input.name + "' was not given");
        for (std::size_t i = 0; i < n; ++i) {
            const float* from =
                !given ? input.null.data() : given->x.item(given->x.batch() == 1 ? 0 : first + i);
            if (input.integer) {
                auto* to = w.run.input_as<std::int64_t>(at) + i * input.count;
                std::transform(from, from + input.count, to, [](float v) {
                    return std::int64_t(std::llround(v));
                });
            } else if (input.previous) { // an x0 in our units
                std::transform(from, from + d_spec.width, w.item.begin(), [&](float v) {
                    return d_spec.scale_in * v;
                });
                d_spec.to_net(w.item.data(), w.run.input_as<float>(at) + i * d_spec.width);
            } else {
                std::copy(from, from + input.count, w.run.input_as<float>(at) + i * input.count);
            }
        }
    }

    //! Row i of the net's output onto item b of the estimate.
    void
    leave(const Sigma& sigma, std::size_t b, std::size_t i, OnnxWorkspace& w, Estimate& out) const
    {
        const std::size_t components = d_spec.is_complex ? 2 : 1;
        float* mean = out.mean.item(b);
        d_spec.from_net(w.run.output_as<float>(0) + i * d_spec.width, w.item.data());
        Coefficients k{};
        for (std::size_t e = 0; e < d_spec.elements; ++e) {
            if (e == 0 || sigma.per_element())
                k = d_spec.coefficients(level(sigma.at(b, d_spec.level_per_element ? e : 0)).sigma *
                                        d_spec.component_std);
            for (std::size_t c = 0; c < components; ++c) {
                const std::size_t at = e * components + c;
                mean[at] += k.b * d_spec.scale_out * w.item[at];
            }
        }
        if (d_spec.clip > 0)
            for (std::size_t j = 0; j < d_spec.width; ++j)
                mean[j] = std::min(std::max(mean[j], -d_spec.clip), d_spec.clip);
        if (d_spec.variance) {
            const float* log_variance = w.run.output_as<float>(1) + i * d_spec.elements;
            float* variance = out.variance.data() + b * d_spec.elements;
            for (std::size_t e = 0; e < d_spec.elements; ++e)
                variance[e] = std::exp(std::min(std::max(log_variance[e], -80.0f), 80.0f));
        }
    }

    //! b v of one item into row i of the derivative's last input.
    void
    pull(const Sigma& sigma, const float* v, std::size_t b, std::size_t i, OnnxWorkspace& w) const
    {
        each(sigma, b, [&](std::size_t at, const Coefficients& k, float) {
            w.item[at] = k.b * d_spec.scale_out * v[at];
        });
        d_spec.to_net(w.item.data(),
                      w.derivative->input_as<float>(d_spec.inputs.size()) + i * d_spec.width);
    }

    void gradient(const Sigma& sigma,
                  const float* v,
                  std::size_t b,
                  std::size_t i,
                  OnnxWorkspace& w,
                  float* out) const
    {
        d_spec.from_net(w.derivative->output_as<float>(0) + i * d_spec.width, w.item.data());
        each(sigma, b, [&](std::size_t at, const Coefficients& k, float shrink) {
            // What is not observed does not enter, whatever the graph makes of the 0 in its place.
            out[at] =
                shrink > 0 ? shrink * (k.a * v[at] + k.c * d_spec.scale_in * w.item[at]) : 0.0f;
        });
    }

    //! f(place, coefficients, shrink) for every float of item b.
    template <typename F>
    void each(const Sigma& sigma, std::size_t b, F&& f) const
    {
        const std::size_t components = d_spec.is_complex ? 2 : 1;
        Coefficients k{};
        float shrink = 1;
        for (std::size_t e = 0; e < d_spec.elements; ++e) {
            if (e == 0 || sigma.per_element()) {
                const Level l = level(sigma.at(b, d_spec.level_per_element ? e : 0));
                k = d_spec.coefficients(l.sigma * d_spec.component_std);
                shrink = l.shrink;
            }
            for (std::size_t c = 0; c < components; ++c)
                f(e * components + c, k, shrink);
        }
    }

    //! Against differences of D, half way between signal and noise.
    double vjp_error() const
    {
        const auto space = make_workspace(1);
        const Sigma sigma(std::min(std::max(0.5f, d_spec.sigma_min), d_spec.sigma_max));
        Tensor x(d_traits.domain, d_spec.shape, 1), v = x, out = x;
        Estimate estimate(d_traits.domain, d_spec.shape, 1);
        return derivative_error(
            {d_traits.domain,
             d_spec.elements,
             d_spec.elements,
             [&](const float* at, float* y) {
                 std::copy(at, at + d_spec.width, x.data());
                 denoise(x, sigma, *space, estimate);
                 std::copy(estimate.mean.data(), estimate.mean.data() + d_spec.width, y);
             },
             [&](const float* at, const float* of_v, float* to) {
                 std::copy(at, at + d_spec.width, x.data());
                 std::copy(of_v, of_v + d_spec.width, v.data());
                 vjp(x, sigma, v, *space, out);
                 std::copy(out.data(), out.data() + d_spec.width, to);
             }});
    }

    //! The graph's real outputs, by running it: files often leave these shapes open.
    void check_outputs(const OnnxFile& file)
    {
        const std::size_t batch = d_spec.fixed_batch ? d_spec.fixed_batch : 1;
        std::vector<std::string> names;
        for (const auto& t : d_spec.outputs)
            names.push_back(t.name);
        const auto real = d_session->probe(d_spec.inputs, names, batch);
        for (std::size_t i = 0; i < real.size(); ++i) {
            const std::size_t wanted = batch * (i == 0 ? d_spec.width : d_spec.elements);
            if (real[i].type != ElemType::float32 || real[i].elements(batch) != wanted) {
                throw Error(file.path + ": its output '" + describe(real[i]) +
                            "' should be float32 of " + std::to_string(wanted) +
                            " elements at a batch of " + std::to_string(batch) +
                            " to agree with diffsem.shape, diffsem.layout and " +
                            (i ? "diffsem.learned_variance" : "diffsem.prediction") +
                            ". Correct the metadata or export the graph again");
            }
            d_spec.outputs[i].shape = real[i].shape;
            if (!d_spec.fixed_batch)
                d_spec.outputs[i].shape[0] = TensorInfo::dynamic;
        }
    }

    DenoiserSpec d_spec;
    std::shared_ptr<const OrtSession> d_session;
    std::unique_ptr<const DenoiserVjp> d_vjp;
    Traits d_traits;
};

} // namespace

std::shared_ptr<const Prior>
make_onnx_prior(const std::string& path, const LoadOptions& options, const OnnxSaid& said)
{
    OnnxFile file = read_onnx_file(path, options.max_model_bytes);
    for (const auto& [key, value] : said.metadata)
        file.metadata[key] = value;
    if (file.meta("diffsem.role") == "image_denoiser") {
        if (!said.condition.is_null())
            throw Error(path + ": a denoiser of photographs takes no 'condition': leave it out");
        if (!said.vjp.empty())
            throw Error(path + ": a denoiser of photographs takes no 'vjp': leave it out");
        return make_picture_prior(file, options);
    }
    if (said.vjp.empty())
        return std::make_shared<OnnxPrior>(file, options, said.condition, nullptr);
    const OnnxFile of_vjp = read_onnx_file(said.vjp, options.max_model_bytes);
    return std::make_shared<OnnxPrior>(file, options, said.condition, &of_vjp);
}

} // namespace core
} // namespace diffsem
} // namespace gr
