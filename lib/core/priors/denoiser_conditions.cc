/*
 * SPDX-License-Identifier: GPL-3.0-or-later
 *
 * The conditions that a denoiser's metadata declare, checked against its graph.
 */
#include "onnx/onnx_sidecar.h"
#include "onnx/tensor_shape.h"
#include "priors/denoiser_inputs.h"

#include <algorithm>

namespace gr {
namespace diffsem {
namespace core {

namespace {

std::string name_list(const OnnxFile& file, std::size_t from)
{
    std::string names;
    for (std::size_t i = from; i < file.inputs.size(); i++)
        names += (names.empty() ? "'" : ", '") + file.inputs[i].describe() + "'";
    return names.empty() ? "none" : names;
}

} // namespace

void read_conditions(const OnnxFile& file, const Json& said, DenoiserSpec& spec)
{
    const char* const key = "diffsem.condition";
    const bool elsewhere = !said.is_null();
    const std::string where = elsewhere ? "'condition'" : std::string(key);
    spec.conditions =
        read_side_inputs(elsewhere ? said : meta_json(file, key), file.path + ": " + where);
    const std::size_t first = spec.first_condition();
    for (SideInput& input : spec.conditions) {
        const auto found =
            std::find_if(file.inputs.begin() + std::ptrdiff_t(std::min(first, file.inputs.size())),
                         file.inputs.end(),
                         [&](const TensorInfo& t) { return t.name == input.name; });
        if (found == file.inputs.end())
            throw Error(file.path + ": " + where + " declares '" + input.name + "', but behind x" +
                        (first == 2 ? " and the level" : "") +
                        " the graph has no input of that name (there: " + name_list(file, first) +
                        "). Correct the metadata or export the graph again");
        std::vector<std::int64_t> item = input.shape;
        if (input.previous && item.empty())
            item.assign(spec.inputs[0].shape.begin() + 1, spec.inputs[0].shape.end());
        if (input.previous && !std::equal(item.begin(),
                                          item.end(),
                                          spec.inputs[0].shape.begin() + 1,
                                          spec.inputs[0].shape.end()))
            throw Error(file.path + ": " + where + " has '" + input.name +
                        "' from the previous answer, which has the shape " +
                        list({spec.inputs[0].shape.begin() + 1, spec.inputs[0].shape.end()}) +
                        ": give it that shape, or none");
        if (input.previous) { // of the size that x has
            input.shape = item;
            input.count = spec.width;
            if (!input.null.empty())
                input.null.assign(input.count, input.null[0]);
        }
        const ElemType type = input.integer ? ElemType::int64 : ElemType::float32;
        const bool open_batch = !found->shape.empty() && found->shape[0] == TensorInfo::dynamic;
        if (found->type != type || !fits(*found, item) ||
            (!open_batch && found->shape[0] != spec.inputs[0].shape[0]))
            throw Error(file.path + ": " + where + " says that '" + input.name + "' is " +
                        (input.integer ? "int64 " : "float32 ") + list(item) +
                        ", but the graph has '" + found->describe() +
                        "'. Correct the metadata or export the graph again");
        spec.inputs.push_back(with_batch(*found, item, spec.fixed_batch));
    }
    for (std::size_t i = first; i < file.inputs.size(); i++)
        if (std::none_of(spec.conditions.begin(), spec.conditions.end(), [&](const SideInput& s) {
                return s.name == file.inputs[i].name;
            }))
            throw Error(file.path + ": the graph has the input '" + file.inputs[i].describe() +
                        "' beside x" + (first == 2 ? " and the level" : "") +
                        ", which nothing says what to give. Declare it in " + key +
                        ", such as [{\"name\": \"" + file.inputs[i].name +
                        "\", \"type\": \"float32\", \"shape\": []}], or correct " +
                        "diffsem.time_embedding");
}

} // namespace core
} // namespace diffsem
} // namespace gr
