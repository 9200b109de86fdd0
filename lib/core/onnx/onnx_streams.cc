/*
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#include "onnx/onnx_streams.h"

#include "onnx/onnx_sidecar.h"

#include <algorithm>
#include <vector>

namespace gr {
namespace diffsem {
namespace core {

std::string list_names(const std::vector<TensorInfo>& tensors)
{
    std::string text;
    for (const auto& t : tensors)
        text += (text.empty() ? "" : "; ") + t.describe();
    return text;
}

std::string size_remedy(const OnnxFile& file)
{
    return std::string(file.outputs.size() > 1 ? "Choose another output, or " : "") +
           (file.inputs.size() > 1 ? "give the input that says how many in constants, or " : "") +
           "have the model fill it up to its most";
}

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

namespace {

OnnxStreamOptions parse_stream(const OnnxFile& file, const Json& json, const std::string& key)
{
    OnnxStreamOptions stream;
    if (json.is_string()) {
        stream.name = json.as_string();
        return stream;
    }
    if (!json.is_object())
        throw Error(file.path + ": " + key + " must be a list of names or of objects with name, " +
                    "type, layout and shape");
    for (const auto& [name, value] : json.members()) {
        if (name == "shape") {
            stream.shape = json_shape(value, file.path + ": " + key + ": shape");
            continue;
        }
        std::string* text = name == "name"     ? &stream.name
                            : name == "type"   ? &stream.type
                            : name == "layout" ? &stream.layout
                                               : nullptr;
        if (!text || !value.is_string())
            throw Error(file.path + ": " + key + " has '" + name + "': " + value.dump() +
                        ". Give name, type and layout (texts) and shape (a list of numbers)");
        *text = value.as_string();
    }
    return stream;
}

} // namespace

std::vector<OnnxStreamOptions> wanted_streams(const OnnxFile& file,
                                              const std::vector<OnnxStreamOptions>& said,
                                              const std::string& side,
                                              const std::set<std::string>& taken)
{
    const std::string several = side + "s", key = "diffsem." + several;
    std::vector<OnnxStreamOptions> streams = said;
    if (streams.empty()) {
        const Json listed = meta_json(file, key);
        if (!listed.is_null() && !listed.is_array())
            throw Error(file.path + ": " + key + " must be a list");
        for (std::size_t i = 0; i < listed.size(); ++i)
            streams.push_back(parse_stream(file, listed.items()[i], key));
    }
    if (streams.empty())
        streams.emplace_back();
    if (streams.size() > OnnxRunner::max_streams)
        throw Error(file.path + ": " + several + " lists " + std::to_string(streams.size()) +
                    " of them. Give at most " + std::to_string(OnnxRunner::max_streams));
    if (streams.size() == 1 && streams[0].name.empty())
        streams[0].name = file.meta("diffsem." + side);

    const auto& tensors = side == "input" ? file.inputs : file.outputs;
    if (streams.size() == 1 && streams[0].name.empty())
        for (auto t = tensors.rbegin(); t != tensors.rend(); ++t)
            if (!taken.count(t->name))
                streams[0].name = t->name;
    for (auto s = streams.begin(); s != streams.end(); ++s) {
        if (streams.size() > 1 && s->name.empty())
            throw Error(file.path + ": " + several +
                        " has one without a name. Give name, one of: " + list_names(tensors));
        s->name = pick(file, tensors, s->name, side.c_str()).name;
        if (std::any_of(streams.begin(), s, [&](const auto& o) { return o.name == s->name; }))
            throw Error(file.path + ": " + several + " lists '" + s->name +
                        "' twice. Give each once; a flowgraph may connect one port to many");
    }
    return streams;
}

StreamType parse_type(const OnnxFile& file, const std::string& name, const std::string& parameter)
{
    if (name == "float")
        return StreamType::real;
    if (name == "complex")
        return StreamType::complex;
    if (name == "int")
        return StreamType::integer;
    if (name == "double")
        return StreamType::real64;
    throw Error(file.path + ": " + parameter + " is '" + name +
                "'. Give float, double, complex or int");
}

Layout parse_layout(const OnnxFile& file, const std::string& name, const std::string& parameter)
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

Shape squeezed(const Shape& shape)
{
    Shape result;
    std::copy_if(shape.begin(), shape.end(), std::back_inserter(result), [](std::int64_t d) {
        return d != 1;
    });
    return result;
}

bool fits_all(const Shape& graph, const Shape& item)
{
    return graph.size() == item.size() &&
           std::equal(graph.begin(), graph.end(), item.begin(), [](auto g, auto i) {
               return g == open_dim || g == i;
           });
}

bool agree(const Shape& graph, const Shape& item)
{
    // An open dimension may be 1 as well.
    return fits_all(squeezed(graph), squeezed(item)) || fits_all(graph, item);
}

Shape without(const Shape& shape, int axis)
{
    Shape result = shape;
    if (axis != no_axis)
        result.erase(result.begin() + axis);
    return result;
}

Shape in_planes(const Shape& shape, bool is_complex, Layout layout)
{
    Shape item = shape;
    if (is_complex)
        item.insert(layout == Layout::interleaved ? item.end() : item.begin(), 2);
    return item;
}

std::size_t product(const Shape& shape)
{
    return OrtTensor{"", ElemType::float32, shape}.elements(1);
}

Shape stream_shape(const OnnxFile& file,
                   const std::string& what,
                   const Shape& item,
                   StreamType stream,
                   Layout layout)
{
    Shape dims = squeezed(item);
    if (stream != StreamType::complex)
        return dims;
    const bool interleaved = layout == Layout::interleaved;
    if (!dims.empty() && (interleaved ? dims.back() : dims.front()) == 2) {
        dims.erase(interleaved ? dims.end() - 1 : dims.begin());
        return dims;
    }
    if (dims.size() == 1 && dims[0] % 2 == 0)
        return {dims[0] / 2};
    throw Error(file.path + ": " + what + " should be complex, " +
                (interleaved ? "interleaved, but its last" : "in planes, but its first") +
                " dimension is not 2. Choose another layout, or type float");
}

} // namespace core
} // namespace diffsem
} // namespace gr
