/*
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#pragma once

#include <gnuradio/diffsem/core/onnx/ort.h>

#define ORT_API_MANUAL_INIT
#include <onnxruntime_c_api.h>

#include <cstdint>
#include <string>

namespace gr {
namespace diffsem {
namespace core {

//! Every release from 1.21 on serves this version of the interface.
constexpr std::uint32_t ort_api_version = 21;

//! An opened library; never closed, because threads of its pools may outlive any of our statics.
struct LoadedOrt {
    OrtLibrary library;
    const OrtApi* api = nullptr;
    OrtEnv* env = nullptr;
};

const LoadedOrt& load_onnxruntime(const std::string& library);

} // namespace core
} // namespace diffsem
} // namespace gr
