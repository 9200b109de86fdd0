/*
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#include "onnx/signal_graph.h"

#include "base/pool.h"
#include "onnx/onnx_sidecar.h"
#include "onnx/tensor_shape.h"

#include <algorithm>
#include <utility>

namespace gr {
namespace diffsem {
namespace core {

namespace {

constexpr std::size_t most_floats = std::size_t(1) << 20; // of the buffers of one caller, about
constexpr std::size_t most_items = 64;                    // of one run

} // namespace

std::vector<std::int64_t> SignalPort::graph_shape() const
{
    std::vector<std::int64_t> s = shape;
    if (domain == Domain::complex)
        s.insert(layout == Layout::interleaved ? s.end() : s.begin(), 2);
    return s;
}

SignalPort read_signal_port(const OnnxFile& file, const std::string& role)
{
    check_contract(file, true);
    const std::string its = file.meta("diffsem.role");
    if (its != role)
        throw Error(file.path + ": diffsem.role is '" + its + "', where a graph of the role '" +
                    role + "' belongs: name another file, or export it again");
    SignalPort port;
    port.domain = meta_choice(file, "diffsem.domain", {"complex", "real"}, "complex") == "complex"
                      ? Domain::complex
                      : Domain::real;
    port.layout =
        meta_choice(file, "diffsem.layout", {"planar", "interleaved"}, "planar") == "planar"
            ? Layout::planar
            : Layout::interleaved;
    port.shape = meta_shape(file, "diffsem.shape");
    if (port.shape.empty())
        throw Error(file.path +
                    ": diffsem.shape is missing. Give the shape of one item of x, such as [64]");
    return port;
}

class SignalGraph::Impl
{
public:
    Impl(const OnnxFile& file,
         std::vector<SignalPort> ins,
         SignalPort out,
         const OrtOptions& options)
        : inputs(std::move(ins)),
          output(std::move(out)),
          session(OrtSession::create(file, options)),
          runs([this] { return std::make_unique<OrtRun>(session, tensors, answers, at_once); })
    {
        const Json counted = meta_json(file, "diffsem.macs");
        macs = counted.is_number() ? counted.as_double() : double(file.parameters);
        check_inputs(file);
        learn_output(file);
        std::size_t floats = output.width();
        for (const auto& port : inputs)
            floats += port.width();
        if (!fixed)
            at_once = std::clamp<std::size_t>(most_floats / floats, 1, most_items);
        runs.reserve(1);
    }

    std::vector<SignalPort> inputs;
    SignalPort output;
    std::shared_ptr<const OrtSession> session;
    std::vector<OrtTensor> tensors, answers;
    std::size_t fixed = 0; // batch of a graph that has no open one
    std::size_t at_once = 1;
    double macs = 0;
    mutable Pool<OrtRun> runs;

private:
    void check_inputs(const OnnxFile& file)
    {
        if (file.inputs.size() != inputs.size() || file.outputs.empty())
            throw Error(file.path + ": it has " + std::to_string(file.inputs.size()) +
                        " inputs, and a graph of the role '" + file.meta("diffsem.role") +
                        "' has " + std::to_string(inputs.size()) +
                        (inputs.size() == 2 ? ", x and v" : ", x") + ": export it again");
        for (std::size_t i = 0; i < inputs.size(); i++) {
            const TensorInfo& info = file.inputs[i];
            const auto item = inputs[i].graph_shape();
            if (info.type != ElemType::float32 || !fits(info, item))
                throw Error(file.path + ": its input '" + info.describe() + "' should be float32 " +
                            list(item) + " to fit the signal: name another file, correct the " +
                            "metadata, or export it again");
            const std::int64_t batch = info.shape[0];
            if (i > 0 && batch != file.inputs[0].shape[0])
                throw Error(file.path + ": its inputs '" + file.inputs[0].describe() + "' and '" +
                            info.describe() + "' have different batches: export it again");
            if (batch != TensorInfo::dynamic)
                fixed = at_once = std::size_t(batch);
            tensors.push_back(with_batch(info, item, fixed));
        }
    }

    // Files often leave the shape of what comes out open: it is run on zeros.
    void learn_output(const OnnxFile& file)
    {
        const std::size_t batch = fixed ? fixed : 2; // two items show which axis counts them
        OrtTensor t = session->probe(tensors, {file.outputs[0].name}, batch).front();
        std::vector<std::int64_t> item = t.shape;
        bool good = t.type == ElemType::float32 && item.size() >= 2 &&
                    item.front() == std::int64_t(batch) && t.elements(batch) > 0;
        if (good) {
            item.erase(item.begin());
            const bool planes = output.domain == Domain::complex;
            const auto axis = output.layout == Layout::interleaved ? item.end() - 1 : item.begin();
            good = !planes || (item.size() >= 2 && *axis == 2);
            if (good && planes)
                item.erase(axis);
        }
        if (!good)
            throw Error(file.path + ": its output '" + describe(t) + "' should be float32 " +
                        (output.domain == Domain::real          ? "[batch, ...]"
                         : output.layout == Layout::interleaved ? "[batch, ..., 2]"
                                                                : "[batch, 2, ...]") +
                        ": export it again");
        output.shape = std::move(item);
        if (!fixed)
            t.shape[0] = TensorInfo::dynamic;
        answers.push_back(std::move(t));
    }
};

SignalGraph::SignalGraph(const OnnxFile& file,
                         std::vector<SignalPort> inputs,
                         SignalPort output,
                         const OrtOptions& options)
    : d(std::make_unique<Impl>(file, std::move(inputs), std::move(output), options))
{
}

SignalGraph::~SignalGraph() = default;

const std::string& SignalGraph::path() const
{
    return d->session->path();
}
const std::vector<SignalPort>& SignalGraph::inputs() const
{
    return d->inputs;
}
const SignalPort& SignalGraph::output() const
{
    return d->output;
}
double SignalGraph::macs() const
{
    return d->macs;
}
void SignalGraph::reserve(std::size_t callers) const
{
    d->runs.reserve(callers);
}

void SignalGraph::run(const float* x, std::size_t batch, float* out) const
{
    const float* const in[] = {x};
    run(in, batch, out);
}

void SignalGraph::run(const float* x, const float* v, std::size_t batch, float* out) const
{
    const float* const in[] = {x, v};
    run(in, batch, out);
}

void SignalGraph::run(const float* const* in, std::size_t batch, float* out) const
{
    auto run = d->runs.take();
    for (std::size_t first = 0; first < batch; first += d->at_once) {
        const std::size_t n = std::min(d->at_once, batch - first);
        for (std::size_t i = 0; i < d->inputs.size(); i++) {
            const SignalPort& port = d->inputs[i];
            for (std::size_t b = 0; b < n; b++)
                to_layout(port.layout,
                          port.domain,
                          port.elements(),
                          in[i] + (first + b) * port.width(),
                          run->input_as<float>(i) + b * port.width());
        }
        // A graph of fixed batch runs whole; what its last items held before does no harm.
        run->run(d->fixed ? d->at_once : n);
        for (std::size_t b = 0; b < n; b++)
            from_layout(d->output.layout,
                        d->output.domain,
                        d->output.elements(),
                        run->output_as<float>(0) + b * d->output.width(),
                        out + (first + b) * d->output.width());
    }
}

} // namespace core
} // namespace diffsem
} // namespace gr
