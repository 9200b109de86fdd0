/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "priors/denoiser_vjp.h"

#include "base/derivative.h"
#include "onnx/onnx_sidecar.h"
#include "onnx/tensor_shape.h"

#include <cmath>

namespace gr {
namespace diffsem {
namespace core {

namespace {

// An open dimension of the graph can be anything; of the denoiser's inputs only the batch is open.
bool fits(const TensorInfo& info, const OrtTensor& wanted)
{
    bool same = info.type == wanted.type && info.shape.size() == wanted.shape.size();
    for (std::size_t i = 0; same && i < wanted.shape.size(); i++)
        same = info.shape[i] == TensorInfo::dynamic || info.shape[i] == wanted.shape[i];
    return same;
}

} // namespace

DenoiserVjp::DenoiserVjp(const OnnxFile& file,
                         const std::string& path,
                         const DenoiserSpec& spec,
                         const OrtOptions& options)
{
    check_contract(file, true);
    if (file.meta("diffsem.role") != "denoiser_vjp")
        throw Error(
            file.path + ": diffsem.role is '" + file.meta("diffsem.role") +
            "', and the derivative of a denoiser is a 'denoiser_vjp': name another file, or "
            "export it again");
    if (spec.is_complex && spec.layout == Layout::magnitude_phase)
        throw Error(path +
                    ": diffsem.layout is 'magnitude_phase', whose derivative is not that of "
                    "the signal: leave 'vjp' out, or export the network with planar numbers");
    inputs = spec.inputs;
    inputs.push_back(spec.inputs.front()); // v is as x
    if (file.inputs.size() != inputs.size() || file.outputs.empty())
        throw Error(file.path + ": it has " + std::to_string(file.inputs.size()) +
                    " inputs, and the derivative of " + path + " has " +
                    std::to_string(inputs.size()) +
                    ", those of the denoiser and v: name the two that were exported together");
    for (std::size_t i = 0; i < inputs.size(); i++) {
        if (!fits(file.inputs[i], inputs[i]))
            throw Error(file.path + ": its input '" + file.inputs[i].describe() +
                        "' should be as '" + describe(inputs[i]) + "' of " + path +
                        ": name the two that were exported together");
        inputs[i].name = file.inputs[i].name;
    }
    session = OrtSession::create(file, options);
    const std::size_t batch = spec.fixed_batch ? spec.fixed_batch : 1;
    OrtTensor answer = session->probe(inputs, {file.outputs[0].name}, batch).front();
    if (answer.type != ElemType::float32 || answer.shape.empty() ||
        answer.shape[0] != std::int64_t(batch) || answer.elements(batch) != batch * spec.width)
        throw Error(file.path + ": its output '" + describe(answer) + "' should be float32 of " +
                    std::to_string(batch * spec.width) + " elements, as 'x' of " + path +
                    ": name the two that were exported together");
    if (!spec.fixed_batch)
        answer.shape[0] = TensorInfo::dynamic;
    outputs.push_back(answer);
}

void check_denoiser_vjp(double error, const std::string& vjp, const std::string& path)
{
    if (!(error <= most_derivative_error)) // NaN is no agreement
        throw Error(vjp + " is not the derivative of the denoiser " + path +
                    " (differences of it are " +
                    (std::isfinite(error) ? std::to_string(error) : std::string("not finite")) +
                    " apart, at most " + std::to_string(most_derivative_error) +
                    "): name the two that were exported together");
}

} // namespace core
} // namespace diffsem
} // namespace gr
