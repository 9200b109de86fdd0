/*
 * SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Shapes of a graph's tensors, whose first dimension counts items, against those of one item; and sentences about them.
 * Private.
 */
#pragma once

#include <gnuradio/diffsem/core/onnx/ort.h>

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace gr {
namespace diffsem {
namespace core {

//! Whether the graph's shape can be `wanted`, of one item: the batch in front is not compared.
bool fits(const TensorInfo& info, const std::vector<std::int64_t>& wanted);
//! A tensor of the graph with this shape of one item. fixed_batch: 0 where the graph leaves it open.
OrtTensor
with_batch(const TensorInfo& info, std::vector<std::int64_t> item, std::size_t fixed_batch);
//! "[batch, 2, 64]"
std::string list(const std::vector<std::int64_t>& item);
//! As TensorInfo::describe(): "x: float32 [batch, 2, 64]"
std::string describe(const OrtTensor& tensor);

} // namespace core
} // namespace diffsem
} // namespace gr
