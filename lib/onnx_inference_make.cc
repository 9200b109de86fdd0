/*
 * SPDX-License-Identifier: GPL-3.0-or-later
 *
 * What onnx_inference is told, checked and turned into what its work() needs.
 */
#include "onnx_graph_runner.h"
#include "onnx_inference_impl.h"

#include <gnuradio/diffsem/core/base/sha256.h>

#include <vector>

namespace gr {
namespace diffsem {

namespace {

using port = onnx_inference_impl::port;

//! The parameters of one port and the list of several say the same thing.
void refuse_both(bool listed, bool said, const char* parameter, const char* list)
{
    if (listed && said)
        throw core::Error(std::string(parameter) + " and " + list + " are both given: put " +
                          parameter + " into the list, as a key of its port");
}

std::vector<onnx_stream> streams_in(const onnx_inference_options& o)
{
    const bool listed = !o.inputs.empty();
    refuse_both(listed, !o.input.empty(), "input", "inputs");
    refuse_both(listed, !o.input_type.empty(), "input_type", "inputs");
    refuse_both(listed, !o.layout.empty(), "layout", "inputs");
    refuse_both(listed, !o.shape.empty(), "shape", "inputs");
    refuse_both(listed, o.in_vlen != 0, "in_vlen", "inputs");
    if (listed)
        return o.inputs;
    return {{o.input, o.input_type, o.layout, o.shape, o.in_vlen}};
}

std::vector<onnx_stream> streams_out(const onnx_inference_options& o)
{
    const bool listed = !o.outputs.empty();
    refuse_both(listed, !o.output.empty(), "output", "outputs");
    refuse_both(listed, !o.output_type.empty(), "output_type", "outputs");
    refuse_both(listed, !o.output_layout.empty(), "output_layout", "outputs");
    refuse_both(listed, o.out_vlen != 0, "out_vlen", "outputs");
    if (listed)
        return o.outputs;
    return {{o.output, o.output_type, o.output_layout, {}, o.out_vlen}};
}

//! One that says nothing leaves the choice to the file.
std::vector<core::OnnxStreamOptions> for_core(const std::vector<onnx_stream>& streams)
{
    std::vector<core::OnnxStreamOptions> result;
    for (const auto& s : streams)
        result.push_back({s.name, s.type, s.layout, {s.shape.begin(), s.shape.end()}});
    if (result.size() == 1 && result[0].empty())
        result.clear();
    return result;
}

//! Lengths for each port that there is in the end, because the file may list several.
std::vector<std::size_t>
vlens_of(const std::vector<onnx_stream>& said, std::size_t ports, const std::string& side)
{
    std::vector<std::size_t> vlens(ports, 0);
    if (said.size() != ports && said[0].vlen)
        throw core::Error(side + "_vlen is " + text(said[0].vlen) + ", but the file lists " +
                          text(ports) + " ports: give the list " + side + "puts, with a vlen each");
    for (std::size_t i = 0; i < std::min(said.size(), ports); i++) {
        if (said[i].vlen < 0)
            throw core::Error(side + "_vlen is " + text(said[i].vlen) +
                              ": give the elements of one item, or 0");
        vlens[i] = static_cast<std::size_t>(said[i].vlen);
    }
    return vlens;
}

//! Without overlap: items of vlen elements follow one another; the length must divide an inference.
std::vector<port> make_ports(const std::vector<core::OnnxStream>& streams,
                             const std::vector<std::size_t>& vlens,
                             const std::string& side)
{
    std::vector<port> ports;
    for (std::size_t i = 0; i < streams.size(); i++) {
        const auto& s = streams[i];
        const std::size_t vlen = vlens[i] ? vlens[i] : s.elements;
        if (s.elements % vlen)
            throw core::Error(side + "_vlen is " + text(vlen) + ", but the graph " +
                              (side == "in" ? "takes " : "gives ") + text(s.elements) +
                              " elements of '" + s.name +
                              "' for one inference: give a divisor of it, or 0 for all");
        port p;
        p.type = s.type;
        p.bytes = s.elements * core::stream_size(s.type);
        p.vlen = static_cast<int>(vlen);
        p.items = static_cast<int>(s.elements / vlen);
        ports.push_back(p);
    }
    return ports;
}

void make_overlap(const onnx_inference_options& options,
                  const std::vector<std::size_t>& in,
                  const std::vector<std::size_t>& out,
                  onnx_inference_impl::plan& p)
{
    if (options.hop < 0)
        throw core::Error("hop is " + text(options.hop) +
                          ": give the samples from one window to the next, or 0 for half a window");
    core::OverlapOptions o;
    o.mode = options.overlap;
    o.hop = static_cast<std::size_t>(options.hop);
    o.window = options.window;
    o.keep = options.keep;
    o.time_axis = options.time_axis;
    o.input_vlens = in;
    o.output_vlens = out;
    auto& overlap = p.m->overlap;
    overlap = std::make_unique<core::Overlap>(o, p.m->run->inputs(), p.m->run->outputs());
    p.window = static_cast<int>(overlap->window());
    p.hop = static_cast<int>(overlap->hop());
    for (std::size_t i = 0; i < p.in.size(); i++) {
        p.in[i].vlen = static_cast<int>(overlap->input_vlen(i));
        p.in[i].items = p.hop;
    }
    for (std::size_t j = 0; j < p.out.size(); j++) {
        p.out[j].vlen = static_cast<int>(overlap->output_vlen(j));
        p.out[j].items = static_cast<int>(overlap->output_hop(j));
        p.out[j].delay = static_cast<int>(overlap->delay(j));
    }
}

//! What one inference takes, on zeros; the first run, behind us, is always slow.
core::CostModel trial_cost(onnx_inference_impl::model& m, const std::vector<port>& out)
{
    using clock = std::chrono::steady_clock;
    const std::size_t count = m.run->fixed_batch() ? m.run->max_batch() : 1;
    std::vector<std::vector<char>> answers;
    onnx_inference_impl::targets to;
    for (const port& p : out) {
        answers.emplace_back(p.bytes * count);
        to.push_back(answers.back().data());
    }
    const auto started = clock::now();
    try {
        m.run->run(m.clean_from.data(), count, to.data());
    } catch (const core::Error&) {
        // Zeros may be what it does not take: a divisor, a state that is no number. It took something before.
    }
    core::CostModel cost;
    cost.add(std::chrono::duration<double>(clock::now() - started).count(),
             1,
             static_cast<double>(count));
    m.run->reset();
    return cost;
}

} // namespace

inference_ledger::offers onnx_inference_impl::offered(const onnx_inference_options& options)
{
    inference_ledger::offers o;
    o.fewer_steps = false;
    if (options.overlap != "none")
        o.no_drop = "windows that overlap are pieces of one stream, so none may be dropped";
    return o;
}

void onnx_inference_impl::check_same_ports(const plan& running, const plan& next)
{
    const auto compare = [&](const std::string& what, const auto& now, const auto& then) {
        if (now != then)
            throw core::Error("model '" + next.m->path + "': " + what + " is " + text(then) +
                              ", of the running model " + text(now) +
                              ": the block's ports cannot change; make another block");
    };
    const auto compare_side =
        [&](const std::string& side, const std::vector<port>& now, const std::vector<port>& then) {
            compare("the number of " + side + "puts", now.size(), then.size());
            for (std::size_t i = 0; i < now.size(); i++) {
                const std::string name = side + "put " + text(i) + ": ";
                compare(name + "its type",
                        std::string(core::stream_name(now[i].type)),
                        std::string(core::stream_name(then[i].type)));
                compare(name + "its vector length", now[i].vlen, then[i].vlen);
                compare(name + "items of one inference", now[i].items, then[i].items);
                compare(name + "bytes of one inference", now[i].bytes, then[i].bytes);
                compare(name + "its delay", now[i].delay, then[i].delay);
            }
        };
    compare("the window", running.window, next.window);
    compare("the hop", running.hop, next.hop);
    compare_side("in", running.in, next.in);
    compare_side("out", running.out, next.out);
}

core::ItemInfo onnx_inference_impl::model::inferred()
{
    core::ItemInfo info;
    info.steps = info.planned = 1;
    return info;
}

void onnx_inference_impl::model::make_buffers(const std::vector<port>& in,
                                              const std::vector<port>& out)
{
    const std::size_t batch = run->max_batch();
    dirty.resize(batch);
    info.resize(batch, inferred());
    for (const port& p : in) {
        clean.emplace_back(p.bytes * batch);
        clean_from.push_back(clean.back().data());
        windows.emplace_back(overlap ? p.bytes * batch : 0);
        windows_from.push_back(windows.back().data());
    }
    for (const port& p : out) {
        answers.emplace_back(overlap ? p.bytes * batch : 0);
        windows_to.push_back(answers.back().data());
    }
}

onnx_inference_impl::plan onnx_inference_impl::check(const std::string& path,
                                                     const onnx_inference_options& options)
{
    if (path.empty())
        throw core::Error("model is empty: give the path of an .onnx file");
    if (options.max_batch < 1 || options.max_batch > 4096)
        throw core::Error("max_batch is " + text(options.max_batch) + ": give 1 to 4096");
    const bool overlap = options.overlap != "none";
    if (overlap && options.overlap != "discard" && options.overlap != "add")
        throw core::Error("overlap is '" + options.overlap + "': give none, discard or add");
    if (!overlap && options.hop)
        throw core::Error("hop is " + text(options.hop) +
                          ", but overlap is none: give overlap, discard or add, or hop 0");
    inference_ledger::check(options.live, offered(options));
    const auto in = streams_in(options), out = streams_out(options);
    auto o = runner_options(options, options.max_batch);
    o.inputs = for_core(in);
    o.outputs = for_core(out);

    plan p;
    p.options = options;
    p.m = std::make_unique<model>();
    model& m = *p.m;
    m.path = path;
    m.run = std::make_unique<core::OnnxRunner>(path, o);
    m.hash = core::sha256_file(path);
    const auto in_vlens = vlens_of(in, m.run->inputs().size(), "in");
    const auto out_vlens = vlens_of(out, m.run->outputs().size(), "out");
    p.in = make_ports(m.run->inputs(), in_vlens, "in");
    p.out = make_ports(m.run->outputs(), out_vlens, "out");
    if (overlap && m.run->stateful())
        throw core::Error(
            "overlap is " + options.overlap +
            ", but state is given: windows would see samples twice. Give overlap none");
    if (options.reset_tag.empty())
        throw core::Error("reset_tag is empty: give the name of a tag, such as diffsem_reset");
    if (overlap)
        make_overlap(options, in_vlens, out_vlens, p);
    m.make_buffers(p.in, p.out);
    m.cost = trial_cost(m, p.out);
    return p;
}

onnx_inference::sptr onnx_inference::make(const std::string& model,
                                          const onnx_inference_options& options)
{
    return gnuradio::make_block_sptr<onnx_inference_impl>(
        onnx_inference_impl::check(model, options));
}

} // namespace diffsem
} // namespace gr
