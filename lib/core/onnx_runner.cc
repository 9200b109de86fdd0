/*
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#include <gnuradio/diffsem/core/onnx_runner.h>

#include "onnx_plan.h"
#include "tensor_convert.h"

#include <algorithm>

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
        const auto session = OrtSession::create(file, options.ort);
        learn_output(file, *session, options, plan);
        std::vector<OrtTensor> inputs = {plan.in.tensor};
        for (const auto& c : plan.constants)
            inputs.push_back(c.tensor);
        run = std::make_unique<OrtRun>(
            session, inputs, std::vector<OrtTensor>{plan.out.tensor}, plan.max_batch);
        for (std::size_t i = 0; i < plan.constants.size(); ++i) {
            const auto& c = plan.constants[i];
            fill(c.value, c.tensor.type, c.tensor.elements(plan.max_batch), run->input(i + 1));
        }
    }

    GraphPlan plan;
    std::unique_ptr<OrtRun> run;
};

OnnxRunner::OnnxRunner(const std::string& path, const OnnxRunnerOptions& options)
    : d(std::make_unique<Impl>(path, options))
{
}
OnnxRunner::~OnnxRunner() = default;

StreamType OnnxRunner::input_type() const
{
    return d->plan.in.stream;
}
StreamType OnnxRunner::output_type() const
{
    return d->plan.out.stream;
}
std::size_t OnnxRunner::input_elements() const
{
    return d->plan.in.elements;
}
std::size_t OnnxRunner::output_elements() const
{
    return d->plan.out.elements;
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

void OnnxRunner::run(const void* in, std::size_t batch, void* out)
{
    const GraphPlan& p = d->plan;
    to_tensor(static_cast<const float*>(in), p.in, batch, d->run->input(0));
    if (p.fixed && batch < p.max_batch) {
        const std::size_t item = p.in.width * elem_size(p.in.tensor.type);
        char* rest = static_cast<char*>(d->run->input(0)) + batch * item;
        std::fill(rest, rest + (p.max_batch - batch) * item, 0);
    }
    d->run->run(p.fixed ? p.max_batch : batch);
    from_tensor(d->run->output(0), p.out, batch, out);
}

} // namespace core
} // namespace diffsem
} // namespace gr
