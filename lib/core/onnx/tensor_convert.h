/*
 * SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Between elements of a stream and tensors of any type and layout.
 */
#pragma once

#include "onnx/onnx_plan.h"

#include <cstddef>

namespace gr {
namespace diffsem {
namespace core {

//! Whether streams can be converted to tensors of this type, and back.
bool convertible(ElemType type);

//! `batch` inferences of a stream of floats (pairs where complex) or 32-bit ints into a tensor.
void to_tensor(const void* in, const StreamEnd& end, std::size_t batch, void* tensor);

//! And back: floats, pairs of floats, or 32-bit ints.
void from_tensor(const void* tensor, const StreamEnd& end, std::size_t batch, void* out);

//! One value everywhere.
void fill(double value, ElemType type, std::size_t count, void* tensor);

} // namespace core
} // namespace diffsem
} // namespace gr
