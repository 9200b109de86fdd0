/*
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#include "onnx/onnx_constants.h"

#include "onnx/onnx_sidecar.h"
#include "onnx/onnx_streams.h"
#include "onnx/tensor_convert.h"

#include <Eigen/Core>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <optional>
#include <utility>
#include <vector>

namespace gr {
namespace diffsem {
namespace core {
namespace {

//! Numbers from lists within lists, and the lengths of these.
struct Values {
    std::vector<double> flat;
    Shape shape;
    bool rectangular = true;

    explicit Values(const Json& json)
    {
        for (const Json* j = &json; j->is_array(); j = &j->items()[0]) {
            shape.push_back(static_cast<std::int64_t>(j->size()));
            if (j->size() == 0)
                break;
        }
        collect(json, 0);
    }

private:
    void collect(const Json& json, std::size_t depth)
    {
        if (json.is_number() || json.is_bool()) {
            rectangular = rectangular && depth == shape.size();
            flat.push_back(json.is_bool() ? json.as_bool() : json.as_double());
            return;
        }
        rectangular = rectangular && json.is_array() && depth < shape.size() &&
                      static_cast<std::int64_t>(json.size()) == shape[depth];
        for (std::size_t i = 0; rectangular && i < json.size(); ++i)
            collect(json.items()[i], depth + 1);
    }
};

Json said_or_listed(const OnnxFile& file, const std::string& said, const std::string& name)
{
    return said.empty() ? meta_json(file, "diffsem." + name)
                        : Json::parse(said, file.path + ": " + name);
}

void check_object(const OnnxFile& file,
                  const Json& json,
                  const std::string& name,
                  const std::string& example)
{
    if (!json.is_null() && !json.is_object())
        throw Error(file.path + ": " + name + " is '" + json.dump().substr(0, 60) +
                    "'. Give a JSON object, such as " + example);
}

std::vector<Json::Member> members(const Json& json)
{
    return json.is_object() ? json.members() : std::vector<Json::Member>();
}

//! The integers of a type; none of another one.
std::optional<std::pair<double, double>> whole_range(ElemType type)
{
    const auto of = [](auto zero) {
        using Limits = std::numeric_limits<decltype(zero)>;
        return std::make_pair(double(Limits::min()), double(Limits::max()));
    };
    switch (type) {
    case ElemType::uint8:
        return of(std::uint8_t());
    case ElemType::int8:
        return of(std::int8_t());
    case ElemType::uint16:
        return of(std::uint16_t());
    case ElemType::int16:
        return of(std::int16_t());
    case ElemType::uint32:
        return of(std::uint32_t());
    case ElemType::int32:
        return of(std::int32_t());
    case ElemType::uint64:
        return of(std::uint64_t());
    case ElemType::int64:
        return of(std::int64_t());
    default:
        return {};
    }
}

//! Why a tensor of that type cannot hold a value, which would be changed without a word; empty: it can.
std::string unheld(ElemType type, double value)
{
    if (const auto range = whole_range(type)) {
        if (value != std::nearbyint(value))
            return "which is no whole number, as this input takes. Give one";
        if (value < range->first || value > range->second)
            return "which lies outside " + Json(range->first).dump() + " .. " +
                   Json(range->second).dump() + ". Give a value that lies there";
    }
    const double most = type == ElemType::float16   ? 65504.0
                        : type == ElemType::float32 ? double(std::numeric_limits<float>::max())
                        : type == ElemType::bfloat16
                            ? double(std::numeric_limits<Eigen::bfloat16>::max())
                            : std::numeric_limits<double>::infinity();
    if (std::isfinite(value) && std::abs(value) > most)
        return "beyond the largest that this input can hold, " + Json(most).dump() +
               ", and would become infinite. Give a smaller one, or export the model with float32";
    return "";
}

//! Whether only dimensions of 1 are before this one: then the values of one inference lie together.
bool in_front(const Shape& shape, std::size_t axis)
{
    return std::all_of(shape.begin(),
                       shape.begin() + static_cast<std::ptrdiff_t>(axis),
                       [](std::int64_t d) { return d == 1; });
}

} // namespace

GivenInputs::GivenInputs(const OnnxFile& file,
                         const std::string& constants,
                         const std::string& state)
    : d_file(file),
      d_constants_said(!constants.empty()),
      d_constants(said_or_listed(file, constants, "constants")),
      d_state(said_or_listed(file, state, "state"))
{
    check_object(file, d_constants, "constants", "{\"h0\": 0}");
    check_object(file, d_state, "state", "{\"h0\": \"hn\"}, an input and the output that it takes");
    for (const auto& [name, value] : members(d_constants))
        pick(file, file.inputs, name, "constants");
    for (const auto& [name, value] : members(d_state)) {
        pick(file, file.inputs, name, "state");
        if (!value.is_string())
            throw Error(
                file.path + ": state has '" + name + "': " + value.dump() +
                ". Give the name of the output that it takes, one of: " + list_names(file.outputs));
        pick(file, file.outputs, value.as_string(), "state");
    }
}

std::set<std::string> GivenInputs::names() const
{
    std::set<std::string> names;
    for (const Json* json : {&d_constants, &d_state})
        for (const auto& member : members(*json))
            names.insert(member.first);
    return names;
}

std::set<std::string> state_outputs(const OnnxFile& file, const std::string& state)
{
    std::set<std::string> names;
    for (const auto& member : members(said_or_listed(file, state, "state")))
        names.insert(member.second.as_string());
    return names;
}

//! The tensor as the runtime is bound to it, and the values of one inference.
OrtTensor GivenInputs::bind(const TensorInfo& t,
                            const std::vector<StreamedInput>& streamed,
                            std::size_t fixed_batch,
                            std::vector<double>& values,
                            GraphPlan& plan) const
{
    const Json& json = d_constants[t.name];
    const Values given(json.is_null() ? Json(0.0) : json);
    const bool whole = given.shape.size() == t.shape.size();
    if (!given.rectangular || (given.flat.empty() && !whole))
        throw Error(d_file.path + ": constants has for '" + t.describe() + "' " +
                    json.dump().substr(0, 60) +
                    ". Give a number, or (nested) lists of numbers, all of one length");
    if (!convertible(t.type))
        throw Error(d_file.path + ": its input '" + t.describe() +
                    "' cannot be a constant. Export the model without it");
    const auto counts_items = [&](const std::string& symbol) {
        return std::any_of(streamed.begin(), streamed.end(), [&](const StreamedInput& in) {
            return in.axis != no_axis && in.info->dims[in.axis] == symbol;
        });
    };
    // Dimensions of the same name are of the same size; 0: of none that is known.
    const auto size_of = [&](const std::string& symbol) {
        for (const StreamedInput& in : streamed)
            for (int i = 0, k = 0; i < static_cast<int>(in.info->dims.size()); ++i)
                if (i != in.axis && !symbol.empty() && in.info->dims[i] == symbol)
                    return in.dims[k];
                else
                    k += i != in.axis;
        return std::int64_t(0);
    };
    OrtTensor tensor{t.name, t.type, t.shape};
    for (std::size_t i = 0; i < tensor.shape.size(); ++i) {
        std::int64_t& dim = tensor.shape[i];
        if (dim != open_dim)
            continue;
        // A list that has another length there than 1 says that it is no batch, if no name says that it is.
        const bool listed = whole && given.shape[i] != 1 && t.dims[i].empty();
        const bool batch = !listed && (counts_items(t.dims[i]) || (i == 0 && !size_of(t.dims[i])));
        if (!batch && size_of(t.dims[i])) {
            dim = size_of(t.dims[i]);
            continue;
        }
        if (!batch && !whole)
            throw Error(d_file.path + ": the dimension '" + t.dims[i] + "' of '" + t.describe() +
                        "' is open. Give all its values in constants, as nested lists of that "
                        "shape");
        if (!batch)
            dim = given.shape[i];
        else if (fixed_batch)
            dim = static_cast<std::int64_t>(fixed_batch);
        else if (is_state(t.name))
            dim = 1;
        else if (given.flat.size() > 1 && !in_front(tensor.shape, i))
            plan.apart = "the batch of '" + t.name + "' is not its first dimension";
    }
    values = given.flat;
    for (const double v : values)
        if (const std::string why = unheld(t.type, v); !why.empty())
            throw Error(d_file.path + ": constants has for '" + t.describe() + "' " +
                        Json(v).dump() + ", " + why);
    const std::size_t one = tensor.elements(1) / std::max<std::size_t>(fixed_batch, 1);
    if (values.size() != 1 && values.size() != tensor.elements(1) && values.size() != one)
        throw Error(d_file.path + ": constants has for '" + t.describe() + "' " +
                    std::to_string(values.size()) + " values. Give one for all, or " +
                    std::to_string(tensor.elements(1)));
    return tensor;
}

void GivenInputs::read(const std::vector<StreamedInput>& streamed,
                       std::size_t fixed_batch,
                       GraphPlan& plan) const
{
    const auto is_streamed = [&](const std::string& name) {
        return std::any_of(streamed.begin(), streamed.end(), [&](const StreamedInput& in) {
            return in.info->name == name;
        });
    };
    for (const auto& name : names())
        if (is_streamed(name) && (d_constants_said || is_state(name)))
            throw Error(d_file.path + ": " + (is_state(name) ? "state" : "constants") + " has '" +
                        name + "', which is streamed. Leave it out, or give inputs without it");
    if (d_state.size() > 0) {
        if (fixed_batch > 1)
            throw Error(d_file.path + ": state is given, but the graph computes a batch of " +
                        std::to_string(fixed_batch) +
                        " at once. Give batch_axis none, or export the model for a batch of 1");
        plan.apart = "an inference begins with the state that the one before left";
    }
    for (const auto& t : d_file.inputs) {
        if (is_streamed(t.name))
            continue;
        if (!is_state(t.name) && d_constants[t.name].is_null())
            throw Error(d_file.path + ": besides '" + streamed.front().info->name +
                        "' the graph has the input '" + t.describe() +
                        "'. Give it a number in constants, such as {\"" + t.name +
                        "\": 0}, or list it in inputs; or, if it takes what an output gave the "
                        "last time, name that output in state" +
                        (d_file.meta("diffsem.role") == "denoiser"
                             ? "; or run this denoiser with the block estimate"
                             : ""));
        std::vector<double> values;
        const OrtTensor tensor = bind(t, streamed, fixed_batch, values, plan);
        if (is_state(t.name))
            plan.states.push_back({tensor, values, d_state[t.name].as_string(), 0});
        else
            plan.constants.push_back({tensor, values});
    }
}

} // namespace core
} // namespace diffsem
} // namespace gr
