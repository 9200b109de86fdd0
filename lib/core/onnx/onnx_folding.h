/*
 * SPDX-License-Identifier: GPL-3.0-or-later
 *
 * What ONNX Runtime would compute while it loads a graph.
 */
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <vector>

namespace gr {
namespace diffsem {
namespace core {

struct FoldNode {
    std::string kind;
    std::vector<std::string> inputs, outputs;
    std::size_t bytes; // of the node in the file
};

/*!
 * ONNX Runtime computes what depends on nothing but weights and shapes while it loads a model, and its memory
 * limit does not hold there. True if all of that is small, by the sizes of what goes in.
 *
 * \param nodes      in the order of the file, those of subgraphs too
 * \param constants  name of each weight, and its elements
 * \param parameters elements of all weights together
 */
bool folding_is_bounded(const std::vector<FoldNode>& nodes,
                        std::map<std::string, std::uint64_t> constants,
                        std::uint64_t parameters);

} // namespace core
} // namespace diffsem
} // namespace gr
