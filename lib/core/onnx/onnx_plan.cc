/*
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#include "onnx/onnx_plan.h"

#include "onnx/onnx_constants.h"
#include "onnx/onnx_sidecar.h"
#include "onnx/onnx_streams.h"
#include "onnx/tensor_convert.h"

#include <algorithm>
#include <cctype>
#include <vector>

namespace gr {
namespace diffsem {
namespace core {
namespace {

/*
 * Which axis counts inferences. Said by the user or the file; else by the rank, where the item's shape is known; else
 * the first, if it is open or 1. A fixed one of several is part of the item: it may as well be time, and answers must
 * not depend on how many items wait. Whether an open one really counts, settle_batch() tries out.
 */
int find_batch_axis(const OnnxFile& file,
                    const TensorInfo& x,
                    const std::string& said,
                    const Shape& item)
{
    const int rank = static_cast<int>(x.shape.size());
    if (said == "none")
        return no_axis;
    if (!said.empty()) {
        const bool digit = said.size() == 1 && said[0] >= '0' && said[0] <= '9';
        if (!digit || said[0] - '0' >= rank)
            throw Error(file.path + ": batch_axis is '" + said + "', but the input is '" +
                        x.describe() + "'. Give the number of one of its dimensions, or none");
        return said[0] - '0';
    }
    if (rank == 0)
        return no_axis;
    if (!item.empty() && fits_all(x.shape, item))
        return no_axis; // it names every dimension
    if (!item.empty())
        return agree(without(x.shape, 0), item) ? 0 : no_axis;
    return x.shape[0] == open_dim || (rank > 1 && x.shape[0] == 1) ? 0 : no_axis;
}

//! A dimension that is called a batch is one.
bool is_called_batch(std::string name)
{
    std::transform(name.begin(), name.end(), name.begin(), [](unsigned char c) {
        return static_cast<char>(std::tolower(c));
    });
    return name.find("batch") != std::string::npos;
}

//! The dimensions of one item in the tensor, those that the graph leaves open filled in.
Shape item_dims(const OnnxFile& file, const TensorInfo& x, int axis, const Shape& item)
{
    Shape dims = without(x.shape, axis);
    if (!item.empty()) {
        if (!agree(dims, item))
            throw Error(file.path + ": shape does not agree with the graph's input '" +
                        x.describe() +
                        "'. Give the shape of one item, without the batch and, if complex, without "
                        "the dimension of re and im");
        if (dims.size() == item.size()) {
            dims = item;
        } else { // the graph's own dimensions of 1 stay where they are
            const Shape rest = squeezed(item);
            auto next = rest.begin();
            for (auto& d : dims)
                if (d != 1)
                    d = next == rest.end() ? 1 : *next++;
        }
    }
    if (std::count(dims.begin(), dims.end(), open_dim))
        throw Error(
            file.path + ": its input '" + x.describe() +
            "' leaves a dimension open besides the batch. Give shape, the shape of one "
            "item, such as [128]; or batch_axis, if that is the dimension that counts items");
    return dims;
}

//! `alone`: what the metadata says of "the" item is about this one.
StreamedInput read_input(const OnnxFile& file,
                         const OnnxStreamOptions& options,
                         const std::string& batch_axis,
                         bool alone)
{
    StreamedInput in;
    const TensorInfo& x = pick(file, file.inputs, options.name, "input");
    in.info = &x;
    if (!convertible(x.type))
        throw Error(
            file.path + ": its input '" + x.describe() +
            "' is of a type that no stream is converted to. Export the model with float32 in its "
            "place, or name another input");
    if (!x.has_shape)
        throw Error(file.path + ": its input '" + x.name +
                    "' has no shape. Add one: onnx.shape_inference.infer_shapes, or export the "
                    "model again");

    const std::string layout =
        options.layout.empty() && alone ? file.meta("diffsem.layout") : options.layout;
    std::string domain = layout.empty() ? "real" : "complex";
    if (alone)
        domain = meta_choice(file, "diffsem.domain", {"complex", "real"}, domain);
    in.end.stream = options.type.empty()
                        ? (domain == "complex" ? StreamType::complex : natural_stream(x.type))
                        : parse_type(file, options.type, "input_type");
    in.end.layout = layout.empty() ? Layout::planar : parse_layout(file, layout, "layout");
    const bool is_complex = in.end.stream == StreamType::complex;

    const Shape shape =
        options.shape.empty() && alone ? meta_shape(file, "diffsem.shape") : options.shape;
    if (shape.size() > 4 || std::any_of(shape.begin(), shape.end(), [](auto d) { return d < 1; }))
        throw Error(file.path + ": shape must be of 1 to 4 positive numbers");
    const Shape item = shape.empty() ? Shape() : in_planes(shape, is_complex, in.end.layout);
    in.axis = find_batch_axis(file, x, batch_axis, item);
    in.counted = !batch_axis.empty() || !item.empty() || in.axis == no_axis ||
                 x.shape[in.axis] != open_dim || is_called_batch(x.dims[in.axis]);
    in.dims = item_dims(file, x, in.axis, item);

    // A batch that is not in front would have to be transposed: such graphs run one by one.
    in.fixed = in.axis == 0 ? 0 : 1;
    if (in.axis != no_axis && x.shape[in.axis] != open_dim) {
        in.fixed = static_cast<std::size_t>(x.shape[in.axis]);
        if (in.axis > 0 && in.fixed != 1)
            throw Error(file.path + ": batch_axis is " + std::to_string(in.axis) + " of '" +
                        x.describe() + "'. A fixed batch above 1 must be the first dimension");
    }
    in.end.shape = stream_shape(
        file, "the input '" + x.describe() + "'", in.dims, in.end.stream, in.end.layout);
    in.end.elements = product(in.end.shape);
    return in;
}

//! The batch that all inputs are of; 0: any.
std::size_t common_batch(const OnnxFile& file, const std::vector<StreamedInput>& inputs)
{
    const StreamedInput* first = nullptr;
    for (const StreamedInput& in : inputs) {
        if (!in.fixed)
            continue;
        if (first && first->fixed != in.fixed)
            throw Error(
                file.path + ": its inputs '" + first->info->describe() + "' and '" +
                in.info->describe() + "' are of a batch of " + std::to_string(first->fixed) +
                " and " + std::to_string(in.fixed) +
                ". Give batch_axis none, and their first dimensions are part of an item; or "
                "give one of them its values in constants");
        first = &in;
    }
    return first ? first->fixed : 0;
}

} // namespace

std::vector<OrtTensor> GraphPlan::input_tensors() const
{
    std::vector<OrtTensor> tensors;
    for (const auto& end : inputs)
        tensors.push_back(end.tensor);
    for (const auto& c : constants)
        tensors.push_back(c.tensor);
    for (const auto& s : states)
        tensors.push_back(s.tensor);
    return tensors;
}

std::vector<OrtTensor> GraphPlan::output_tensors() const
{
    std::vector<OrtTensor> tensors;
    for (const auto& end : outputs)
        tensors.push_back(end.tensor);
    tensors.insert(tensors.end(), unseen.begin(), unseen.end());
    return tensors;
}

GraphPlan plan_graph(const OnnxFile& file, const OnnxRunnerOptions& options)
{
    check_contract(file, false);
    const GivenInputs given(file, options.constants, options.state);
    const auto streams = wanted_streams(file, options.inputs, "input", given.names());
    const std::string batch_axis =
        options.batch_axis.empty() ? file.meta("diffsem.batch_axis") : options.batch_axis;
    std::vector<StreamedInput> inputs;
    for (const auto& s : streams)
        inputs.push_back(read_input(file, s, batch_axis, streams.size() == 1));

    GraphPlan plan;
    const std::size_t batch = common_batch(file, inputs);
    for (StreamedInput& in : inputs) {
        Shape full = in.dims;
        if (in.axis != no_axis)
            full.insert(full.begin() + in.axis,
                        batch ? static_cast<std::int64_t>(batch) : open_dim);
        in.end.tensor = {in.info->name, in.info->type, full};
        if (!in.counted && !plan.doubtful)
            plan.doubtful = in.info;
        in.end.width = product(in.dims);
        if (in.end.width < 1 || in.end.width > max_stream_elements)
            throw Error(file.path + ": one item of '" + in.info->name + "' would have " +
                        std::to_string(in.end.width) + " values. Give a shape of 1 to " +
                        std::to_string(max_stream_elements));
        plan.inputs.push_back(in.end);
    }
    given.read(inputs, batch, plan);
    plan.fixed = batch > 0;
    plan.max_batch = plan.fixed ? batch : std::max<std::size_t>(options.max_batch, 1);
    return plan;
}

} // namespace core
} // namespace diffsem
} // namespace gr
