/*
 * SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Which tensors of a graph are streamed, and how the elements of a stream lie in one.
 */
#pragma once

#include "onnx/onnx_plan.h"

#include <cstddef>
#include <cstdint>
#include <set>
#include <string>
#include <vector>

namespace gr {
namespace diffsem {
namespace core {

using Shape = std::vector<std::int64_t>;

constexpr std::int64_t open_dim = TensorInfo::dynamic;
constexpr int no_axis = -1;

std::string list_names(const std::vector<TensorInfo>& tensors);

//! What to do about an output that has no items of one size: only what this graph offers.
std::string size_remedy(const OnnxFile& file);

//! The tensor of that name, or the first.
const TensorInfo& pick(const OnnxFile& file,
                       const std::vector<TensorInfo>& tensors,
                       const std::string& name,
                       const char* parameter);

/*!
 * The streams of one side (`input` or `output`): as the user said; else the list in the metadata
 * (`diffsem.inputs`); else one, of the name in the metadata (`diffsem.input`), or the first that is not `taken` by
 * something else. Names are checked.
 */
std::vector<OnnxStreamOptions> wanted_streams(const OnnxFile& file,
                                              const std::vector<OnnxStreamOptions>& said,
                                              const std::string& side,
                                              const std::set<std::string>& taken);

StreamType parse_type(const OnnxFile& file, const std::string& name, const std::string& parameter);
Layout parse_layout(const OnnxFile& file, const std::string& name, const std::string& parameter);

//! Without the dimensions of 1, which change no memory.
Shape squeezed(const Shape& shape);
bool fits_all(const Shape& graph, const Shape& item); //!< dimension by dimension
//! Likewise, but for dimensions of 1.
bool agree(const Shape& graph, const Shape& item);
Shape without(const Shape& shape, int axis);
//! One item as it lies in the tensor: the shape of the stream with its plane dimension.
Shape in_planes(const Shape& shape, bool is_complex, Layout layout);

/*!
 * The dimensions of these scalars in elements of the stream, without those of 1; complex ones need
 * their plane dimension.
 */
Shape stream_shape(const OnnxFile& file,
                   const std::string& what,
                   const Shape& item,
                   StreamType stream,
                   Layout layout);
std::size_t product(const Shape& shape);

} // namespace core
} // namespace diffsem
} // namespace gr
