/*
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#include <gnuradio/diffsem/core/onnx/onnx_runner.h>

#include "onnx/onnx_plan.h"
#include "onnx/tensor_convert.h"

#include <cstring>
#include <vector>

namespace gr {
namespace diffsem {
namespace core {

std::size_t stream_size(StreamType type)
{
    return type == StreamType::complex ? 8 : 4;
}

const char* stream_name(StreamType type)
{
    return type == StreamType::complex ? "complex" : type == StreamType::integer ? "int" : "float";
}

class OnnxRunner::Impl
{
public:
    Impl(const std::string& path, const OnnxRunnerOptions& options)
    {
        const OnnxFile file = read_onnx_file(path, options.max_model_bytes);
        plan = plan_graph(file, options);
        session = OrtSession::create(file, options.ort);
        learn_outputs(file, *session, options, plan);
        inputs = streams_of(plan.inputs);
        outputs = streams_of(plan.outputs);
        make_buffers();
    }

    Impl(const Impl& other)
        : plan(other.plan),
          inputs(other.inputs),
          outputs(other.outputs),
          session(other.session)
    {
        make_buffers();
    }

    void make_buffers()
    {
        std::vector<OrtTensor> out;
        for (const auto& end : plan.outputs)
            out.push_back(end.tensor);
        run = std::make_unique<OrtRun>(session, plan.input_tensors(), out, plan.max_batch);
        for (std::size_t i = 0; i < plan.constants.size(); ++i) {
            const auto& c = plan.constants[i];
            fill(c.value,
                 c.tensor.type,
                 c.tensor.elements(plan.max_batch),
                 run->input(plan.inputs.size() + i));
        }
    }

    static std::vector<OnnxStream> streams_of(const std::vector<StreamEnd>& ends)
    {
        std::vector<OnnxStream> streams;
        for (const auto& end : ends)
            streams.push_back({end.tensor.name, end.stream, end.elements, end.shape});
        return streams;
    }

    GraphPlan plan;
    std::vector<OnnxStream> inputs, outputs;
    std::shared_ptr<const OrtSession> session;
    std::unique_ptr<OrtRun> run;
};

OnnxRunner::OnnxRunner(const std::string& path, const OnnxRunnerOptions& options)
    : d(std::make_unique<Impl>(path, options))
{
}
OnnxRunner::OnnxRunner(const OnnxRunner& other) : d(std::make_unique<Impl>(*other.d)) {}
OnnxRunner::~OnnxRunner() = default;

const std::vector<OnnxStream>& OnnxRunner::inputs() const
{
    return d->inputs;
}
const std::vector<OnnxStream>& OnnxRunner::outputs() const
{
    return d->outputs;
}
std::size_t OnnxRunner::max_batch() const
{
    return d->plan.max_batch;
}
bool OnnxRunner::fixed_batch() const
{
    return d->plan.fixed;
}
const std::string& OnnxRunner::note() const
{
    return d->plan.note;
}

void OnnxRunner::run(const void* const* in, std::size_t batch, void* const* out)
{
    const GraphPlan& p = d->plan;
    for (std::size_t i = 0; i < p.inputs.size(); ++i) {
        const StreamEnd& end = p.inputs[i];
        void* tensor = d->run->input(i);
        to_tensor(in[i], end, batch, tensor);
        if (p.fixed && batch < p.max_batch) {
            const std::size_t item = end.width * elem_size(end.tensor.type);
            std::memset(static_cast<char*>(tensor) + batch * item, 0, (p.max_batch - batch) * item);
        }
    }
    d->run->run(p.fixed ? p.max_batch : batch);
    for (std::size_t j = 0; j < p.outputs.size(); ++j)
        from_tensor(d->run->output(j), p.outputs[j], batch, out[j]);
}

} // namespace core
} // namespace diffsem
} // namespace gr
