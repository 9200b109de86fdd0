/* SPDX-License-Identifier: GPL-3.0-or-later */
// The pre-validator, and what the metadata of a file that passed it makes of the graph.
#include <gnuradio/diffsem/core/onnx/onnx_file.h>

#include "onnx/onnx_plan.h"
#include "onnx/onnx_sidecar.h"

using namespace gr::diffsem::core;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size)
{
    try {
        const OnnxFile file = parse_onnx(
            std::string(reinterpret_cast<const char*>(data), size), "fuzz.onnx", 1 << 20);
        for (const auto& t : file.inputs)
            (void)t.describe();
        check_contract(file, false);
        (void)meta_shape(file, "diffsem.shape");
        (void)plan_graph(file, OnnxRunnerOptions());
    } catch (const Error&) {
    }
    return 0;
}
