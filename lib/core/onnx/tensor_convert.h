/*
 * SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Between elements of a stream and tensors of any type and layout.
 */
#pragma once

#include "onnx/onnx_plan.h"

#include <cstddef>
#include <vector>

namespace gr {
namespace diffsem {
namespace core {

//! Whether streams can be converted to tensors of this type, and back.
bool convertible(ElemType type);

//! The stream that loses nothing of a tensor of this type, as far as there is one.
StreamType natural_stream(ElemType type);

//! `batch` inferences of a stream of floats (pairs where complex), doubles or 32-bit ints into a tensor.
void to_tensor(const void* in, const StreamEnd& end, std::size_t batch, void* tensor);

//! And back: floats, pairs of floats, doubles, or 32-bit ints.
void from_tensor(const void* tensor, const StreamEnd& end, std::size_t batch, void* out);

//! These values, and from the first again.
void fill(const std::vector<double>& values, ElemType type, std::size_t count, void* tensor);

//! A tensor's values, whatever their type.
std::vector<double> as_doubles(const void* tensor, ElemType type, std::size_t count);

//! Whether a value is NaN, or infinite.
bool holds_no_number(const void* tensor, ElemType type, std::size_t count, bool infinite_too);

} // namespace core
} // namespace diffsem
} // namespace gr
