/*
 * SPDX-License-Identifier: GPL-3.0-or-later
 *
 * The prior `onnx` as a manifest names it, and what a file says of itself.
 */
#include <gnuradio/diffsem/core/base/error.h>
#include <gnuradio/diffsem/core/onnx/onnx_file.h>
#include <gnuradio/diffsem/core/priors/prior.h>

#include "onnx/onnx_sidecar.h"

#include <algorithm>
#include <string>
#include <vector>

namespace gr {
namespace diffsem {
namespace core {

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
                                             "guidance",
                                             "sampler",
                                             "plan",
                                             "inputs",
                                             "outputs",
                                             "constants",
                                             "clip"};
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

namespace {

// What the member says in the place of the file's metadata.
OnnxSaid said_by(const Fields& fields)
{
    OnnxSaid said;
    if (fields.has("schedule")) {
        const Fields schedule =
            fields.object("schedule", {"type", "steps", "beta_min", "beta_max", "alphas_cumprod"});
        said.metadata["diffsem.schedule"] = schedule_json(read_schedule(schedule)).dump();
    }
    if (fields.has("clip"))
        said.metadata["diffsem.clip"] = Json(fields.number("clip", 0)).dump();
    said.condition = fields.json("condition");
    said.vjp = fields.has("vjp") ? fields.file("vjp") : "";
    return said;
}

std::shared_ptr<const Prior>
read(const Fields& fields, const SignalShape& signal, const LoadOptions& options)
{
    const std::string path = fields.file("file");
    auto prior = make_onnx_prior(path, options, said_by(fields));
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
                                 "`condition` of the member or the package"},
                                {"vjp",
                                 "its derivative, an .onnx of the role `denoiser_vjp`; compared "
                                 "with it when loaded (none)"},
                                {"schedule",
                                 "in place of the file's own: an object, of which "
                                 "`alphas_cumprod` may be a .npy file"},
                                {"clip", "limit of each component of D, in the network's units"}}},
                              read,
                              true};
    return e;
}

} // namespace core
} // namespace diffsem
} // namespace gr
