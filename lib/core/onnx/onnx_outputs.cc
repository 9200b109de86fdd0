/*
 * SPDX-License-Identifier: GPL-3.0-or-later
 *
 * What comes out of a graph, which only a run can tell.
 */
#include "onnx/onnx_constants.h"
#include "onnx/onnx_streams.h"
#include "onnx/tensor_convert.h"

#include <algorithm>
#include <vector>

namespace gr {
namespace diffsem {
namespace core {
namespace {

constexpr std::size_t max_buffer = std::size_t(64) << 20; // bytes of a batch

//! Type, layout and size of an output's stream; its tensor is known.
void read_output(const OnnxFile& file,
                 const TensorInfo& y,
                 const OnnxStreamOptions& options,
                 const GraphPlan& plan,
                 StreamEnd& end)
{
    const StreamEnd& in = plan.inputs.front();
    const std::size_t share = plan.fixed ? plan.max_batch : 1;
    Shape item = end.tensor.shape;
    if (share > 1) {
        if (item.empty() || item[0] != static_cast<std::int64_t>(share))
            throw Error(
                file.path + ": its output '" + y.describe() +
                "' does not begin with the batch of " + std::to_string(share) +
                " that its input has. Give batch_axis none: the first dimension of its input "
                "is part of an item");
        item[0] = 1;
    }
    std::replace(item.begin(), item.end(), open_dim, std::int64_t(1));
    end.width = product(item);
    if (end.width < 1 || end.width > max_stream_elements)
        throw Error(file.path + ": its output '" + y.describe() + "' has " +
                    std::to_string(end.width) + " values for one item, and must have 1 to " +
                    std::to_string(max_stream_elements) +
                    ". If that depends on the data: " + size_remedy(file));

    const bool same = end.width == in.width && !file.meta("diffsem.layout").empty();
    if (!options.type.empty())
        end.stream = parse_type(file, options.type, "output_type");
    else if (natural_stream(end.tensor.type) == StreamType::integer)
        end.stream = StreamType::integer;
    else if (!options.layout.empty() || (same && in.stream == StreamType::complex))
        end.stream = StreamType::complex;
    else
        end.stream = natural_stream(end.tensor.type);
    end.layout =
        options.layout.empty() ? in.layout : parse_layout(file, options.layout, "output_layout");
    end.shape =
        stream_shape(file, "the output '" + y.describe() + "'", item, end.stream, end.layout);
    end.elements = product(end.shape);
}

//! Outputs for the states: those of a stream, or more; each must be what its input takes.
void bind_states(const OnnxFile& file, const std::vector<std::string>& names, GraphPlan& plan)
{
    const auto all = plan.output_tensors();
    for (auto& state : plan.states) {
        state.index = static_cast<std::size_t>(std::find(names.begin(), names.end(), state.output) -
                                               names.begin());
        const OrtTensor& from = all[state.index];
        const auto described = [](const OrtTensor& t) {
            return TensorInfo{t.name, t.type, true, t.shape, {}}.describe();
        };
        if (from.type != state.tensor.type || from.elements(1) != state.tensor.elements(1))
            throw Error(file.path + ": state feeds the output '" + described(from) +
                        "' to the input '" + described(state.tensor) +
                        "', which must be of the same type and size. Give another pair");
    }
}

} // namespace

void learn_outputs(const OnnxFile& file,
                   const OrtSession& session,
                   const OnnxRunnerOptions& options,
                   GraphPlan& plan)
{
    const auto fed_back = state_outputs(file, options.state);
    const auto streams = wanted_streams(file, options.outputs, "output", fed_back);
    std::vector<std::string> names;
    for (const auto& s : streams) {
        const TensorInfo& y = pick(file, file.outputs, s.name, "output");
        if (!convertible(y.type))
            throw Error(file.path + ": its output '" + y.describe() +
                        "' is of a type that no stream carries. " +
                        (file.outputs.size() > 1
                             ? "Choose another with output, of: " + list_names(file.outputs)
                             : "Export the model with an output of numbers (Cast) in its place") +
                        (y.type == ElemType::undefined
                             ? ". (skl2onnx: convert with options={'zipmap': False})"
                             : ""));
        names.push_back(y.name);
    }
    for (const auto& name : fed_back)
        if (std::find(names.begin(), names.end(), name) == names.end())
            names.push_back(name);
    settle_batch(file, session, names, streams.size(), plan);
    plan.doubtful = nullptr; // it lies in the file, which the plan outlives
    bind_states(file, names, plan);
    std::size_t bytes = 0;
    for (std::size_t j = 0; j < streams.size(); ++j) {
        StreamEnd& end = plan.outputs[j];
        read_output(file, pick(file, file.outputs, names[j], "output"), streams[j], plan, end);
        bytes += end.width * elem_size(end.tensor.type);
    }
    for (const auto& end : plan.inputs)
        bytes += end.width * elem_size(end.tensor.type);
    const std::size_t most = std::max<std::size_t>(max_buffer / bytes, 1);
    if (!plan.fixed && plan.max_batch > most) {
        plan.max_batch = most;
        plan.note = "max_batch is cut to " + std::to_string(most) + " for items of " +
                    std::to_string(bytes) + " bytes";
    }
}

} // namespace core
} // namespace diffsem
} // namespace gr
