/*
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#include "onnx_plan.h"

#include "onnx_sidecar.h"
#include "tensor_convert.h"

#include <algorithm>

namespace gr {
namespace diffsem {
namespace core {
namespace {

using Shape = std::vector<std::int64_t>;

constexpr std::int64_t open = TensorInfo::dynamic;
constexpr int no_axis = -1;
constexpr std::size_t max_elements = std::size_t(1) << 24; // of one inference
constexpr std::size_t max_buffer = std::size_t(64) << 20;  // bytes of a batch

std::string list_names(const std::vector<TensorInfo>& tensors)
{
    std::string text;
    for (const auto& t : tensors)
        text += (text.empty() ? "" : "; ") + t.describe();
    return text;
}

//! The tensor of that name, or the first.
const TensorInfo& pick(const OnnxFile& file,
                       const std::vector<TensorInfo>& tensors,
                       const std::string& name,
                       const char* parameter)
{
    if (name.empty())
        return tensors.front();
    for (const auto& t : tensors)
        if (t.name == name)
            return t;
    throw Error(file.path + ": " + parameter + " is '" + name +
                "', but the graph has: " + list_names(tensors));
}

Layout parse_layout(const OnnxFile& file, const std::string& name, const char* parameter)
{
    if (name == "planar")
        return Layout::planar;
    if (name == "interleaved")
        return Layout::interleaved;
    if (name == "magnitude_phase")
        return Layout::magnitude_phase;
    throw Error(file.path + ": " + parameter + " is '" + name +
                "'. Give planar, interleaved or magnitude_phase");
}

//! Without the dimensions of 1, which change no memory.
Shape squeezed(const Shape& shape)
{
    Shape result;
    std::copy_if(shape.begin(), shape.end(), std::back_inserter(result), [](std::int64_t d) {
        return d != 1;
    });
    return result;
}

bool agree(const Shape& graph, const Shape& item)
{
    const Shape a = squeezed(graph), b = squeezed(item);
    if (a.size() == b.size() && std::equal(a.begin(), a.end(), b.begin(), [](auto g, auto i) {
            return g == open || g == i;
        }))
        return true;
    // An open dimension may be 1 as well.
    return graph.size() == item.size() &&
           std::equal(graph.begin(), graph.end(), item.begin(), [](auto g, auto i) {
               return g == open || g == i;
           });
}

Shape without(const Shape& shape, int axis)
{
    Shape result = shape;
    if (axis != no_axis)
        result.erase(result.begin() + axis);
    return result;
}

//! One item as it lies in the tensor: the shape of the stream with its plane dimension.
Shape in_planes(const Shape& shape, bool is_complex, Layout layout)
{
    Shape item = shape;
    if (is_complex)
        item.insert(layout == Layout::interleaved ? item.end() : item.begin(), 2);
    return item;
}

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
    if (x.shape[0] == open)
        return 0;
    if (rank == 1)
        return no_axis;
    const bool planes = is_complex && layout != Layout::interleaved && x.shape[0] == 2;
    return planes ? no_axis : 0;
}

//! How many stream elements these scalars are; complex ones need their plane dimension.
std::size_t stream_elements(const OnnxFile& file,
                            const std::string& what,
                            const Shape& item,
                            StreamType stream,
                            Layout layout)
{
    const std::size_t width = OrtTensor{"", ElemType::float32, item}.elements(1);
    if (stream != StreamType::complex)
        return width;
    const Shape dims = squeezed(item);
    const bool flat = dims.size() == 1 && width % 2 == 0;
    const bool fits =
        !dims.empty() && (layout == Layout::interleaved ? dims.back() == 2 : dims.front() == 2);
    if (!flat && !fits)
        throw Error(file.path + ": " + what + " should be complex, " +
                    (layout == Layout::interleaved ? "interleaved, but its last"
                                                   : "in planes, but its first") +
                    " dimension is not 2. Choose another layout, or type float");
    return width / 2;
}

std::vector<GraphPlan::Constant> read_constants(const OnnxFile& file,
                                                const TensorInfo& x,
                                                const std::string& said,
                                                int batch_axis,
                                                std::size_t fixed_batch)
{
    const Json given = said.empty() ? meta_json(file, "diffsem.constants")
                                    : Json::parse(said, file.path + ": constants");
    const std::string symbol = batch_axis == no_axis ? "" : x.dims[batch_axis];
    std::vector<GraphPlan::Constant> constants;
    for (const auto& [name, value] :
         given.is_object() ? given.members() : std::vector<Json::Member>())
        pick(file, file.inputs, name, "constants");
    for (const auto& t : file.inputs) {
        if (&t == &x)
            continue;
        const Json& value = given[t.name];
        if (!value.is_number())
            throw Error(file.path + ": besides '" + x.name + "' the graph has the input '" +
                        t.describe() + "'. Give it a number in constants, such as {\"" + t.name +
                        "\": 0}" +
                        (file.meta("diffsem.role") == "denoiser"
                             ? "; or run this denoiser with the block estimate"
                             : ""));
        OrtTensor tensor{t.name, t.type, t.shape};
        for (std::size_t i = 0; i < tensor.shape.size(); ++i) {
            if (tensor.shape[i] != open)
                continue;
            if (t.dims[i] != symbol && i != 0)
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

StreamType
parse_type(const OnnxFile& file, const std::string& name, const char* parameter, bool output)
{
    if (name == "float")
        return StreamType::real;
    if (name == "complex")
        return StreamType::complex;
    if (name == "int" && output)
        return StreamType::integer;
    throw Error(file.path + ": " + parameter + " is '" + name + "'. Give float" +
                (output ? ", complex or int" : " or complex"));
}

} // namespace

GraphPlan plan_graph(const OnnxFile& file, const OnnxRunnerOptions& options)
{
    const auto said = [&](const std::string& option, const char* key) {
        return option.empty() ? file.meta(key) : option;
    };
    check_contract(file, false);
    const TensorInfo& x = pick(file, file.inputs, said(options.input, "diffsem.input"), "input");
    if (!convertible(x.type))
        throw Error(file.path + ": its input '" + x.describe() +
                    "' is of a type that no stream is converted to. Export it with float32");
    if (!x.has_shape)
        throw Error(file.path + ": its input '" + x.name + "' has no shape. Export it with one");

    GraphPlan plan;
    const std::string layout = said(options.layout, "diffsem.layout");
    const std::string domain = meta_choice(
        file, "diffsem.domain", {"complex", "real"}, layout.empty() ? "real" : "complex");
    plan.in.stream = options.input_type.empty()
                         ? (domain == "complex" ? StreamType::complex : StreamType::real)
                         : parse_type(file, options.input_type, "input_type", false);
    plan.in.layout = layout.empty() ? Layout::planar : parse_layout(file, layout, "layout");
    const bool is_complex = plan.in.stream == StreamType::complex;

    const Shape shape = options.shape.empty() ? meta_shape(file, "diffsem.shape") : options.shape;
    if (shape.size() > 4 || std::any_of(shape.begin(), shape.end(), [](auto d) { return d < 1; }))
        throw Error(file.path + ": shape must be of 1 to 4 positive numbers");
    const Shape item = shape.empty() ? Shape() : in_planes(shape, is_complex, plan.in.layout);
    const int axis = find_batch_axis(
        file, x, said(options.batch_axis, "diffsem.batch_axis"), item, is_complex, plan.in.layout);

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
    for (std::size_t i = 0; i < dims.size(); ++i)
        if (dims[i] == open)
            throw Error(
                file.path + ": its input '" + x.describe() +
                "' leaves a dimension open besides the batch. Give shape, the shape of one "
                "item, such as [128]; or batch_axis, if that is the dimension that counts items");

    // A batch that is not in front would have to be transposed: such graphs run one by one.
    std::size_t fixed_batch = axis == no_axis ? 1 : 0;
    if (axis > 0)
        fixed_batch = 1;
    if (axis != no_axis && x.shape[axis] != open) {
        fixed_batch = static_cast<std::size_t>(x.shape[axis]);
        if (axis > 0 && fixed_batch != 1)
            throw Error(file.path + ": batch_axis is " + std::to_string(axis) + " of '" +
                        x.describe() + "'. A fixed batch above 1 must be the first dimension");
    }
    Shape full = dims;
    if (axis != no_axis)
        full.insert(full.begin() + axis,
                    fixed_batch ? static_cast<std::int64_t>(fixed_batch) : open);
    plan.in.tensor = {x.name, x.type, full};
    plan.in.width = plan.in.tensor.elements(1) / std::max<std::size_t>(fixed_batch, 1);
    plan.in.elements = stream_elements(
        file, "the input '" + x.describe() + "'", dims, plan.in.stream, plan.in.layout);
    if (plan.in.width < 1 || plan.in.width > max_elements)
        throw Error(file.path + ": one item would have " + std::to_string(plan.in.width) +
                    " values. Give a shape of 1 to " + std::to_string(max_elements));
    plan.constants = read_constants(file, x, options.constants, axis, fixed_batch);
    plan.fixed = fixed_batch > 0;
    plan.max_batch = plan.fixed ? fixed_batch : std::max<std::size_t>(options.max_batch, 1);
    return plan;
}

namespace {

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
        std::replace(t.shape.begin(), t.shape.end(), open, std::int64_t(1));
    };
    fix(plan.in.tensor);
    for (auto& c : plan.constants)
        fix(c.tensor);
}

} // namespace

void learn_output(const OnnxFile& file,
                  const OrtSession& session,
                  const OnnxRunnerOptions& options,
                  GraphPlan& plan)
{
    const std::string name = options.output.empty() ? file.meta("diffsem.output") : options.output;
    const TensorInfo& y = pick(file, file.outputs, name, "output");
    if (!convertible(y.type))
        throw Error(file.path + ": its output '" + y.describe() +
                    "' is of a type that no stream carries. "
                    "Choose another with output, of: " +
                    list_names(file.outputs) +
                    (y.type == ElemType::undefined
                         ? ". (skl2onnx: convert with options={'zipmap': False})"
                         : ""));
    std::vector<OrtTensor> inputs = {plan.in.tensor};
    for (const auto& c : plan.constants)
        inputs.push_back(c.tensor);
    const auto run = [&](std::size_t batch) { return session.probe(inputs, {y.name}, batch)[0]; };

    plan.out.tensor = run(plan.fixed ? plan.max_batch : 1);
    const Shape one = plan.out.tensor.shape;
    if (!plan.fixed && plan.max_batch > 1) {
        try {
            const int axis = growing_axis(one, run(2).shape);
            if (axis == no_axis)
                one_by_one(plan, "the output '" + y.name + "' does not grow with the batch");
            else if (one[axis] == 1)
                plan.out.tensor.shape[axis] = open;
            else
                one_by_one(plan, "the output '" + y.name + "' has several rows for one inference");
        } catch (const Error& e) {
            one_by_one(plan, std::string("the graph refuses a batch of 2 (") + e.what() + ")");
        }
    } else if (!plan.fixed) {
        one_by_one(plan, "max_batch is 1");
        plan.note.clear();
    }
    const std::size_t total = plan.out.tensor.elements(1);
    const std::size_t share = plan.fixed ? plan.max_batch : 1;
    if (share > 1 && (one.empty() || one[0] != static_cast<std::int64_t>(share)))
        throw Error(file.path + ": its output '" + y.describe() +
                    "' does not begin with the batch of " + std::to_string(share) +
                    " that its input has. Export the model again");
    plan.out.width = total / share;
    if (plan.out.width < 1 || plan.out.width > max_elements)
        throw Error(file.path + ": its output '" + y.describe() + "' has " +
                    std::to_string(plan.out.width) + " values for one item, and must have 1 to " +
                    std::to_string(max_elements));

    const bool integers =
        plan.out.tensor.type != ElemType::float32 && plan.out.tensor.type != ElemType::float64;
    const bool same = plan.out.width == plan.in.width && !file.meta("diffsem.layout").empty();
    if (!options.output_type.empty())
        plan.out.stream = parse_type(file, options.output_type, "output_type", true);
    else if (integers)
        plan.out.stream = StreamType::integer;
    else if (!options.output_layout.empty() || (same && plan.in.stream == StreamType::complex))
        plan.out.stream = StreamType::complex;
    plan.out.layout = options.output_layout.empty()
                          ? plan.in.layout
                          : parse_layout(file, options.output_layout, "output_layout");
    Shape item = plan.out.tensor.shape;
    for (auto& d : item)
        d = d == open ? 1 : d;
    if (share > 1)
        item[0] = 1;
    plan.out.elements = stream_elements(
        file, "the output '" + y.describe() + "'", item, plan.out.stream, plan.out.layout);

    const std::size_t bytes = plan.in.width * elem_size(plan.in.tensor.type) +
                              plan.out.width * elem_size(plan.out.tensor.type);
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
