/*
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#pragma once

#include <gnuradio/diffsem/core/onnx/onnx_file.h>

#include <cstddef>
#include <cstdint>
#include <string>

namespace gr {
namespace diffsem {
namespace core {

[[noreturn]] void refuse_file(const std::string& path, const std::string& what);
std::string megabytes(std::uint64_t bytes);

/*!
 * Walks file.bytes once, fills the header in and refuses what must not reach a runtime. WireError:
 * the bytes are no protobuf message; file.ir_version then tells how far it got.
 */
void walk_onnx(OnnxFile& file, std::size_t max_bytes);

} // namespace core
} // namespace diffsem
} // namespace gr
