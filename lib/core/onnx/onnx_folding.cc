/*
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#include "onnx/onnx_folding.h"

#include <algorithm>
#include <set>
#include <vector>

namespace gr {
namespace diffsem {
namespace core {
namespace {

constexpr std::uint64_t max_folded = std::uint64_t(1) << 24; // elements, or four times the weights
constexpr std::uint64_t shape_elements = 64;                 // that Shape gives, at most

} // namespace

bool folding_is_bounded(const std::vector<FoldNode>& nodes,
                        std::map<std::string, std::uint64_t> constants,
                        std::uint64_t parameters)
{
    static const std::set<std::string> no_larger = {"Identity",
                                                    "Cast",
                                                    "CastLike",
                                                    "Reshape",
                                                    "Flatten",
                                                    "Squeeze",
                                                    "Unsqueeze",
                                                    "Concat",
                                                    "Slice",
                                                    "Split",
                                                    "Transpose",
                                                    "Neg",
                                                    "Abs",
                                                    "Sqrt",
                                                    "Exp",
                                                    "Log",
                                                    "Reciprocal",
                                                    "Floor",
                                                    "Ceil",
                                                    "Round",
                                                    "Not",
                                                    "Relu",
                                                    "Sigmoid",
                                                    "Tanh",
                                                    "Softmax",
                                                    "ReduceMean",
                                                    "ReduceSum",
                                                    "ReduceProd",
                                                    "ReduceMax",
                                                    "ReduceMin",
                                                    "QuantizeLinear",
                                                    "DequantizeLinear"};
    static const std::set<std::string> a_product = {
        "Add",         "Sub",           "Mul",    "Div",    "Mod",   "Pow",
        "Min",         "Max",           "And",    "Or",     "Xor",   "Equal",
        "Greater",     "Less",          "Gather", "MatMul", "Where", "GreaterOrEqual",
        "LessOrEqual", "GatherElements"};
    const std::uint64_t most = std::max(max_folded, 4 * parameters);
    std::uint64_t total = 0;
    for (const FoldNode& n : nodes) {
        const bool shape = n.kind == "Shape" || n.kind == "Size";
        std::uint64_t elements = shape ? shape_elements : n.kind == "Constant" ? 2 * n.bytes : 0;
        if (!elements) {
            const auto constant = [&](const std::string& name) {
                return name.empty() || constants.count(name);
            };
            if (n.inputs.empty() || !std::all_of(n.inputs.begin(), n.inputs.end(), constant))
                continue;
            const bool product = a_product.count(n.kind);
            if (!product && !no_larger.count(n.kind))
                return false;
            elements = product ? 1 : 0;
            for (const auto& name : n.inputs) {
                const auto more = std::max<std::uint64_t>(constants[name], 1);
                if (more > most)
                    return false;
                elements = product ? elements * more : elements + more;
                if (elements > most)
                    return false;
            }
            total += elements;
            if (total > most)
                return false;
        }
        for (const auto& name : n.outputs)
            constants[name] = elements;
    }
    return true;
}

} // namespace core
} // namespace diffsem
} // namespace gr
