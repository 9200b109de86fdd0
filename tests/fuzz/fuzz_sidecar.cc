/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <gnuradio/diffsem/core/onnx/onnx_file.h>

#include "onnx/onnx_sidecar.h"
#include "scratch.h"

using namespace gr::diffsem::core;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size)
{
    static const Scratch scratch;
    scratch.write("m.onnx.json", std::string(reinterpret_cast<const char*>(data), size));
    OnnxFile file;
    file.path = scratch.path("m.onnx");
    file.metadata["diffsem.role"] = "denoiser";
    try {
        read_sidecar(file);
        check_contract(file, true);
        (void)meta_shape(file, "diffsem.shape");
        for (const auto& entry : file.metadata)
            (void)meta_json(file, entry.first);
    } catch (const Error&) {
    }
    return 0;
}
