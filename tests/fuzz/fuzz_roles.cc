/* SPDX-License-Identifier: GPL-3.0-or-later */
// What a file beside a graph says of its conditions and of its role: a denoiser that is told something, its derivative, an
// operator and its derivative, an encoder and a decoder. The graph has the inputs that such files have.
#include <gnuradio/diffsem/core/onnx/onnx_file.h>

#include "onnx/onnx_sidecar.h"
#include "onnx/signal_graph.h"
#include "priors/denoiser_spec.h"
#include "scratch.h"

using namespace gr::diffsem::core;

static TensorInfo tensor(const char* name, ElemType type, std::vector<std::int64_t> shape)
{
    TensorInfo info;
    info.name = name;
    info.type = type;
    info.shape = std::move(shape);
    return info;
}

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size)
{
    static const Scratch scratch;
    scratch.write("m.onnx.json", std::string(reinterpret_cast<const char*>(data), size));
    const auto open = TensorInfo::dynamic;
    OnnxFile file;
    file.path = scratch.path("m.onnx");
    file.inputs = {tensor("x", ElemType::float32, {open, 3}),
                   tensor("sigma", ElemType::float32, {open}),
                   tensor("class", ElemType::int64, {open}),
                   tensor("before", ElemType::float32, {open, 3})};
    file.outputs = {tensor("y", ElemType::float32, {open, 3})};
    try {
        read_sidecar(file);
    } catch (const Error&) {
        return 0;
    }
    try {
        for (const SideInput& input : read_denoiser_spec(file).conditions) {
            const std::vector<float> values(input.count, 1.0f);
            input.check(values.data(), values.size());
        }
    } catch (const Error&) {
    }
    for (const char* role : {"operator", "operator_vjp", "denoiser_vjp", "encoder", "decoder"})
        try {
            (void)read_signal_port(file, role).width();
        } catch (const Error&) {
        }
    return 0;
}
