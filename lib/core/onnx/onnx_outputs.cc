/*
 * SPDX-License-Identifier: GPL-3.0-or-later
 *
 * What comes out of a graph, which only a run can tell.
 */
#include "onnx/onnx_streams.h"
#include "onnx/tensor_convert.h"

#include <algorithm>
#include <vector>

namespace gr {
namespace diffsem {
namespace core {
namespace {

constexpr std::size_t max_buffer = std::size_t(64) << 20; // bytes of a batch

//! The output's batch axis: the one that grows with the batch; no_axis if none or several do.
int growing_axis(const Shape& one, const Shape& two)
{
    int axis = no_axis;
    if (one.size() != two.size())
        return no_axis;
    for (std::size_t i = 0; i < one.size(); ++i) {
        if (one[i] == two[i])
            continue;
        if (axis != no_axis || one[i] < 1 || two[i] != 2 * one[i])
            return no_axis;
        axis = static_cast<int>(i);
    }
    // Results of one inference must lie together.
    for (int i = 0; i < axis; ++i)
        if (one[i] != 1)
            return no_axis;
    return axis;
}

void one_by_one(GraphPlan& plan, const std::string& why)
{
    plan.note = why + ": inferences run one by one";
    plan.fixed = true;
    plan.max_batch = 1;
    const auto fix = [](OrtTensor& t) {
        std::replace(t.shape.begin(), t.shape.end(), open_dim, std::int64_t(1));
    };
    for (auto& end : plan.inputs)
        fix(end.tensor);
    for (auto& end : plan.outputs)
        fix(end.tensor);
    for (auto& c : plan.constants)
        fix(c.tensor);
}

//! Runs a batch of 1 and one of 2, and finds the dimension of each output that counts inferences.
void find_batches(const OrtSession& session, const std::vector<std::string>& names, GraphPlan& plan)
{
    const auto run = [&](std::size_t batch) {
        return session.probe(plan.input_tensors(), names, batch);
    };
    const std::vector<OrtTensor> one = run(plan.fixed ? plan.max_batch : 1);
    for (const auto& t : one) {
        plan.outputs.emplace_back();
        plan.outputs.back().tensor = t;
    }
    if (plan.fixed)
        return;
    if (plan.max_batch == 1) {
        one_by_one(plan, "max_batch is 1");
        plan.note.clear();
        return;
    }
    std::vector<OrtTensor> two;
    try {
        two = run(2);
    } catch (const Error& e) {
        one_by_one(plan, std::string("the graph refuses a batch of 2 (") + e.what() + ")");
        return;
    }
    std::vector<int> axes;
    for (std::size_t j = 0; j < one.size(); ++j) {
        axes.push_back(growing_axis(one[j].shape, two[j].shape));
        const std::string output = "the output '" + names[j] + "' ";
        if (axes[j] == no_axis)
            return one_by_one(plan, output + "does not grow with the batch");
        if (one[j].shape[axes[j]] != 1)
            return one_by_one(plan, output + "has several rows for one inference");
    }
    for (std::size_t j = 0; j < one.size(); ++j)
        plan.outputs[j].tensor.shape[axes[j]] = open_dim;
}

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
            throw Error(file.path + ": its output '" + y.describe() +
                        "' does not begin with the batch of " + std::to_string(share) +
                        " that its input has. Export the model again");
        item[0] = 1;
    }
    std::replace(item.begin(), item.end(), open_dim, std::int64_t(1));
    end.width = product(item);
    if (end.width < 1 || end.width > max_stream_elements)
        throw Error(file.path + ": its output '" + y.describe() + "' has " +
                    std::to_string(end.width) + " values for one item, and must have 1 to " +
                    std::to_string(max_stream_elements));

    const bool integers =
        end.tensor.type != ElemType::float32 && end.tensor.type != ElemType::float64;
    const bool same = end.width == in.width && !file.meta("diffsem.layout").empty();
    if (!options.type.empty())
        end.stream = parse_type(file, options.type, "output_type");
    else if (integers)
        end.stream = StreamType::integer;
    else if (!options.layout.empty() || (same && in.stream == StreamType::complex))
        end.stream = StreamType::complex;
    end.layout =
        options.layout.empty() ? in.layout : parse_layout(file, options.layout, "output_layout");
    end.shape =
        stream_shape(file, "the output '" + y.describe() + "'", item, end.stream, end.layout);
    end.elements = product(end.shape);
}

} // namespace

void learn_outputs(const OnnxFile& file,
                   const OrtSession& session,
                   const OnnxRunnerOptions& options,
                   GraphPlan& plan)
{
    const auto streams = wanted_streams(file, options.outputs, "output");
    std::vector<std::string> names;
    for (const auto& s : streams) {
        const TensorInfo& y = pick(file, file.outputs, s.name, "output");
        if (!convertible(y.type))
            throw Error(file.path + ": its output '" + y.describe() +
                        "' is of a type that no stream carries. "
                        "Choose another with output, of: " +
                        list_names(file.outputs) +
                        (y.type == ElemType::undefined
                             ? ". (skl2onnx: convert with options={'zipmap': False})"
                             : ""));
        names.push_back(y.name);
    }
    find_batches(session, names, plan);
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
