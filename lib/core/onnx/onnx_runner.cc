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
    return type == StreamType::complex || type == StreamType::real64 ? 8 : 4;
}

const char* stream_name(StreamType type)
{
    return type == StreamType::complex   ? "complex"
           : type == StreamType::integer ? "int"
           : type == StreamType::real64  ? "double"
                                         : "float";
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
        const auto in = plan.input_tensors(), out = plan.output_tensors();
        run = std::make_unique<OrtRun>(session, in, out, plan.max_batch);
        for (std::size_t i = 0; i < plan.constants.size(); ++i) {
            const auto& c = plan.constants[i];
            fill(c.values,
                 c.tensor.type,
                 c.tensor.elements(plan.max_batch),
                 run->input(plan.inputs.size() + i));
        }
        reset();
    }

    void* state_input(std::size_t index)
    {
        return run->input(plan.inputs.size() + plan.constants.size() + index);
    }

    void reset()
    {
        for (std::size_t i = 0; i < plan.states.size(); ++i) {
            const auto& s = plan.states[i];
            fill(s.values, s.tensor.type, s.tensor.elements(1), state_input(i));
        }
    }

    //! The state that the next inference begins with, if this one did not go wrong.
    void move_on()
    {
        for (std::size_t j = 0; j < plan.outputs.size(); ++j)
            if (holds_no_number(
                    run->output(j), plan.outputs[j].tensor.type, plan.outputs[j].width, false))
                return;
        for (const auto& s : plan.states)
            if (holds_no_number(run->output(s.index), s.tensor.type, s.tensor.elements(1), true))
                throw Error("the state that goes to '" + s.tensor.name +
                            "' is not finite; it stays as it was before this inference");
        for (std::size_t i = 0; i < plan.states.size(); ++i) {
            const auto& s = plan.states[i];
            std::memcpy(state_input(i),
                        run->output(s.index),
                        s.tensor.elements(1) * elem_size(s.tensor.type));
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
bool OnnxRunner::stateful() const
{
    return !d->plan.states.empty();
}
void OnnxRunner::reset()
{
    d->reset();
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
    if (!p.states.empty())
        d->move_on();
    for (std::size_t j = 0; j < p.outputs.size(); ++j)
        from_tensor(d->run->output(j), p.outputs[j], batch, out[j]);
}

} // namespace core
} // namespace diffsem
} // namespace gr
