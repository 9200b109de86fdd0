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

#include "onnx/onnx_sidecar.h"
#include "priors/denoiser_spec.h"
#include "priors/picture_prior.h"

#include <algorithm>
#include <cmath>
#include <limits>
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
                  std::size_t max_batch)
        : run(session, spec.inputs, spec.outputs, spec.batch_of(max_batch)),
          item(spec.width)
    {
    }
    OrtRun run;
    std::vector<float> item; // one item on its way into or out of the net's layout
};

class OnnxPrior : public Prior
{
public:
    OnnxPrior(const OnnxFile& file, const LoadOptions& options, const Json& condition)
        : d_spec(read_denoiser_spec(file, condition)),
          d_session(OrtSession::create(file, OrtOptions(options)))
    {
        check_outputs(file);
        d_traits.domain = d_spec.is_complex ? Domain::complex : Domain::real;
        d_traits.shape = d_spec.shape;
        d_traits.tensor_sigma = d_spec.level_per_element;
        d_traits.variance = d_spec.variance;
        d_traits.sigma_min = d_spec.sigma_min;
        d_traits.sigma_max = d_spec.sigma_max;
        d_traits.macs = d_spec.macs;
        d_traits.conditions = d_spec.conditions;
    }

    const char* type() const override { return "onnx"; }
    const Traits& traits() const override { return d_traits; }

    std::unique_ptr<Workspace> make_workspace(std::size_t max_batch) const override
    {
        return std::make_unique<OnnxWorkspace>(d_session, d_spec, max_batch);
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
        if (d_spec.variance) {
            const float* log_variance = w.run.output_as<float>(1) + i * d_spec.elements;
            float* variance = out.variance.data() + b * d_spec.elements;
            for (std::size_t e = 0; e < d_spec.elements; ++e)
                variance[e] = std::exp(std::min(std::max(log_variance[e], -80.0f), 80.0f));
        }
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
                TensorInfo info;
                info.name = real[i].name;
                info.type = real[i].type;
                info.has_shape = true;
                info.shape = real[i].shape;
                info.dims.resize(info.shape.size());
                throw Error(file.path + ": its output '" + info.describe() +
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
    Traits d_traits;
};

} // namespace

Json read_onnx_metadata(const std::string& path, const LoadOptions& options)
{
    const OnnxFile file = read_onnx_file(path, options.max_model_bytes);
    static const char* const structured[] = {"shape",
                                             "schedule",
                                             "normalisation",
                                             "sigma_range",
                                             "condition",
                                             "operator",
                                             "start",
                                             "sampler",
                                             "plan",
                                             "inputs",
                                             "outputs",
                                             "constants"};
    Json result = Json::object();
    for (const auto& [key, value] : file.metadata) {
        Json json(value);
        for (const char* name : structured)
            if (key == std::string("diffsem.") + name)
                json = meta_json(file, key);
        result.set(key, std::move(json));
    }
    return result;
}

std::shared_ptr<const Prior>
make_onnx_prior(const std::string& path, const LoadOptions& options, const Json& condition)
{
    const OnnxFile file = read_onnx_file(path, options.max_model_bytes);
    if (file.meta("diffsem.role") == "image_denoiser") {
        if (!condition.is_null())
            throw Error(path + ": a denoiser of photographs takes no 'condition': leave it out");
        return make_picture_prior(file, options);
    }
    return std::make_shared<OnnxPrior>(file, options, condition);
}

namespace {

std::shared_ptr<const Prior>
read(const Fields& fields, const SignalShape& signal, const LoadOptions& options)
{
    const std::string path = fields.file("file");
    auto prior = make_onnx_prior(path, options, fields.json("condition"));
    const Traits& t = prior->traits();
    const auto text = [](Domain domain, const std::vector<std::int64_t>& shape) {
        const bool open = std::find(shape.begin(), shape.end(), -1) != shape.end();
        return (open ? std::string("any number of") : std::to_string(element_count(shape))) +
               (domain == Domain::complex ? " complex" : " real");
    };
    const std::string its = text(t.domain, t.shape), wanted = text(signal.domain, signal.shape);
    if (its != wanted)
        throw Error(fields.where() + ".file: " + path + " is a denoiser of " + its +
                    " elements, 'signal' says " + wanted + ": correct shape and domain");
    return prior;
}

} // namespace

const PriorEntry& onnx_prior()
{
    static const PriorEntry e{{"onnx",
                               "A trained network that describes itself (docs/model_contract.md): "
                               "eps, v, x0, score or flow, "
                               "turned into the denoiser D once.",
                               {{"file", "the .onnx file"},
                                {"condition",
                                 "its side inputs, where the file does not declare them; or as "
                                 "`condition` of the member or the package"}}},
                              read};
    return e;
}

} // namespace core
} // namespace diffsem
} // namespace gr
