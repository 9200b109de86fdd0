/*
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#include "onnx/onnx_plan.h"

#include "onnx/onnx_sidecar.h"
#include "onnx/onnx_streams.h"
#include "onnx/tensor_convert.h"

#include <algorithm>
#include <vector>

namespace gr {
namespace diffsem {
namespace core {
namespace {

//! A streamed input before all agree on a batch.
struct Input {
    const TensorInfo* info;
    StreamEnd end;
    Shape dims; // of one item, in the tensor
    int axis = no_axis;
    std::size_t fixed = 0; // the batch that the graph insists on; 0: any
};

/*
 * Which axis counts inferences. Said by the user or the file; else by the rank, where the item's shape
 * is known; else the first axis is the batch if it is open, or 1 of several, or holds no re and im.
 */
int find_batch_axis(const OnnxFile& file,
                    const TensorInfo& x,
                    const std::string& said,
                    const Shape& item,
                    bool is_complex,
                    Layout layout)
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
    if (!item.empty())
        return agree(without(x.shape, 0), item) ? 0 : no_axis;
    if (x.shape[0] == open_dim)
        return 0;
    if (rank == 1)
        return no_axis;
    const bool planes = is_complex && layout != Layout::interleaved && x.shape[0] == 2;
    return planes ? no_axis : 0;
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
Input read_input(const OnnxFile& file,
                 const OnnxStreamOptions& options,
                 const std::string& batch_axis,
                 bool alone)
{
    Input in;
    const TensorInfo& x = pick(file, file.inputs, options.name, "input");
    in.info = &x;
    if (!convertible(x.type))
        throw Error(file.path + ": its input '" + x.describe() +
                    "' is of a type that no stream is converted to. Export it with float32");
    if (!x.has_shape)
        throw Error(file.path + ": its input '" + x.name + "' has no shape. Export it with one");

    const std::string layout =
        options.layout.empty() && alone ? file.meta("diffsem.layout") : options.layout;
    std::string domain = layout.empty() ? "real" : "complex";
    if (alone)
        domain = meta_choice(file, "diffsem.domain", {"complex", "real"}, domain);
    in.end.stream = options.type.empty()
                        ? (domain == "complex" ? StreamType::complex : StreamType::real)
                        : parse_type(file, options.type, "input_type");
    in.end.layout = layout.empty() ? Layout::planar : parse_layout(file, layout, "layout");
    const bool is_complex = in.end.stream == StreamType::complex;

    const Shape shape =
        options.shape.empty() && alone ? meta_shape(file, "diffsem.shape") : options.shape;
    if (shape.size() > 4 || std::any_of(shape.begin(), shape.end(), [](auto d) { return d < 1; }))
        throw Error(file.path + ": shape must be of 1 to 4 positive numbers");
    const Shape item = shape.empty() ? Shape() : in_planes(shape, is_complex, in.end.layout);
    in.axis = find_batch_axis(file, x, batch_axis, item, is_complex, in.end.layout);
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
std::size_t common_batch(const OnnxFile& file, const std::vector<Input>& inputs)
{
    const Input* first = nullptr;
    for (const Input& in : inputs) {
        if (!in.fixed)
            continue;
        if (first && first->fixed != in.fixed)
            throw Error(file.path + ": its inputs '" + first->info->describe() + "' and '" +
                        in.info->describe() + "' are of a batch of " +
                        std::to_string(first->fixed) + " and " + std::to_string(in.fixed) +
                        ". Give one of them a number in constants, or export the model again");
        first = &in;
    }
    return first ? first->fixed : 0;
}

std::vector<GraphPlan::Constant> read_constants(const OnnxFile& file,
                                                const std::string& said,
                                                const std::vector<Input>& streamed,
                                                std::size_t fixed_batch)
{
    const Json given = said.empty() ? meta_json(file, "diffsem.constants")
                                    : Json::parse(said, file.path + ": constants");
    const auto is_streamed = [&](const TensorInfo& t) {
        return std::any_of(
            streamed.begin(), streamed.end(), [&](const Input& in) { return in.info == &t; });
    };
    const auto counts_items = [&](const std::string& symbol) {
        return std::any_of(streamed.begin(), streamed.end(), [&](const Input& in) {
            return in.axis != no_axis && in.info->dims[in.axis] == symbol;
        });
    };
    std::vector<GraphPlan::Constant> constants;
    for (const auto& [name, value] :
         given.is_object() ? given.members() : std::vector<Json::Member>())
        if (is_streamed(pick(file, file.inputs, name, "constants")) && !said.empty())
            throw Error(file.path + ": constants has '" + name +
                        "', which is streamed. Leave it out, or give inputs without it");
    for (const auto& t : file.inputs) {
        if (is_streamed(t))
            continue;
        const Json& value = given[t.name];
        if (!value.is_number())
            throw Error(file.path + ": besides '" + streamed.front().info->name +
                        "' the graph has the input '" + t.describe() +
                        "'. Give it a number in constants, such as {\"" + t.name +
                        "\": 0}, or list it in inputs" +
                        (file.meta("diffsem.role") == "denoiser"
                             ? "; or run this denoiser with the block estimate"
                             : ""));
        OrtTensor tensor{t.name, t.type, t.shape};
        for (std::size_t i = 0; i < tensor.shape.size(); ++i) {
            if (tensor.shape[i] != open_dim)
                continue;
            if (i != 0 && !counts_items(t.dims[i]))
                throw Error(file.path + ": the dimension '" + t.dims[i] + "' of '" + t.describe() +
                            "' is open. Export the model with it fixed");
            if (fixed_batch)
                tensor.shape[i] = static_cast<std::int64_t>(fixed_batch);
        }
        if (!convertible(t.type))
            throw Error(file.path + ": its input '" + t.describe() + "' cannot be a constant");
        constants.push_back({tensor, value.as_double()});
    }
    return constants;
}

} // namespace

std::vector<OrtTensor> GraphPlan::input_tensors() const
{
    std::vector<OrtTensor> tensors;
    for (const auto& end : inputs)
        tensors.push_back(end.tensor);
    for (const auto& c : constants)
        tensors.push_back(c.tensor);
    return tensors;
}

GraphPlan plan_graph(const OnnxFile& file, const OnnxRunnerOptions& options)
{
    check_contract(file, false);
    const auto streams = wanted_streams(file, options.inputs, "input");
    const std::string batch_axis =
        options.batch_axis.empty() ? file.meta("diffsem.batch_axis") : options.batch_axis;
    std::vector<Input> inputs;
    for (const auto& s : streams)
        inputs.push_back(read_input(file, s, batch_axis, streams.size() == 1));

    GraphPlan plan;
    const std::size_t batch = common_batch(file, inputs);
    for (Input& in : inputs) {
        Shape full = in.dims;
        if (in.axis != no_axis)
            full.insert(full.begin() + in.axis,
                        batch ? static_cast<std::int64_t>(batch) : open_dim);
        in.end.tensor = {in.info->name, in.info->type, full};
        in.end.width = product(in.dims);
        if (in.end.width < 1 || in.end.width > max_stream_elements)
            throw Error(file.path + ": one item of '" + in.info->name + "' would have " +
                        std::to_string(in.end.width) + " values. Give a shape of 1 to " +
                        std::to_string(max_stream_elements));
        plan.inputs.push_back(in.end);
    }
    plan.constants = read_constants(file, options.constants, inputs, batch);
    plan.fixed = batch > 0;
    plan.max_batch = plan.fixed ? batch : std::max<std::size_t>(options.max_batch, 1);
    return plan;
}

} // namespace core
} // namespace diffsem
} // namespace gr
