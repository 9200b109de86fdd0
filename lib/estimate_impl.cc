/*
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#include "estimate_impl.h"

#include <gnuradio/diffsem/core/scheme/load_scheme.h>
#include <gnuradio/io_signature.h>

#include <algorithm>
#include <cstring>

namespace gr {
namespace diffsem {

namespace {

using source = estimate_impl::source;

const std::pair<const char*, source> sources[] = {
    {"parameter", source::parameter},
    {"tag", source::tag},
    {"null_carriers", source::null_carriers},
    {"repeated", source::repeated},
    {"repeated_pairs", source::repeated_pairs},
    {"delay_tail", source::delay_tail},
};

source parse_source(const std::string& name)
{
    std::string known;
    for (const auto& s : sources) {
        if (name == s.first)
            return s.second;
        known += std::string(known.empty() ? "" : ", ") + s.first;
    }
    throw core::Error("noise is '" + name + "': give one of " + known);
}

constexpr inference_ledger::offers offered{}; // every policy

estimate_impl::plan check(const scheme::sptr& handle, const estimate_options& options)
{
    if (!handle)
        throw core::Error("scheme is missing: give a name such as 'ls', or a diffsem.scheme");
    estimate_impl::plan p;
    p.handle = handle;
    p.options = options;
    inference_ledger::check(options.live, offered);
    p.noise = parse_source(options.noise);
    check_noise_var(options.noise_var, false);
    check_steps(options.steps);
    check_eta(options.eta);
    if (options.max_batch < 1 || options.max_batch > 65536)
        throw core::Error("max_batch is " + text(options.max_batch) + ": give 1 to 65536");
    if (!(options.noise_averaging > 0) || options.noise_averaging > 1)
        throw core::Error("noise_averaging is " + text(options.noise_averaging) +
                          ": give the weight of the newest estimate, above 0 to 1");
    if (p.noise == source::tag && options.noise_tag.empty())
        throw core::Error("noise_tag is empty: give the key of the tag, e.g. diffsem_noise_var");

    p.scheme = handle->get();
    const auto& info = p.scheme->info();
    if (!info.complex_domain)
        throw core::Error("scheme '" + info.spec +
                          "' is made for real data; this block estimates "
                          "complex vectors: use a scheme of the complex domain");
    std::size_t n = p.scheme->item_size();
    if (n && options.item_size && n != options.item_size)
        throw core::Error("item_size is " + text(options.item_size) + ", but scheme '" + info.spec +
                          "' is made for " + shape_text(info) + " = " + text(n) +
                          " elements: give that, or 0");
    n = n ? n : options.item_size;
    if (!n)
        throw core::Error("item_size is 0, but scheme '" + info.spec +
                          "' takes any length: give the vector length");

    auto& e = p.estimator;
    e.item_size = n;
    e.max_batch = options.max_batch;
    e.steps = options.steps;
    e.eta = options.eta;
    e.seed = options.seed;
    if (!options.matrix.empty()) {
        if (options.matrix.size() % n)
            throw core::Error("matrix has " + text(options.matrix.size()) + " values: give M x " +
                              text(n) + ", row by row");
        e.matrix = options.matrix;
        e.matrix_rows = options.matrix.size() / n;
    }
    const auto nulls = core::mask_from_indices(options.null_carriers, n, "null_carriers");
    if (!options.observed.empty()) {
        e.observed = core::mask_from_indices(options.observed, n, "observed");
        for (int k : options.null_carriers)
            if (e.observed[k])
                throw core::Error("null_carriers: index " + text(k) +
                                  " is also in observed; a carrier is one or the other");
    } else if (!options.null_carriers.empty()) {
        e.observed = nulls;
        for (auto& o : e.observed)
            o = !o;
    }
    p.run = std::make_unique<core::Estimator>(p.scheme, e);
    p.input = p.run->input_size();
    p.output = p.run->output_size();

    const bool square = info.op != "matrix";
    if (!square && (p.noise == source::null_carriers || p.noise == source::delay_tail))
        throw core::Error("noise is '" + options.noise + "', but scheme '" + info.spec +
                          "' measures through a matrix, where no element is a carrier: use "
                          "parameter, tag or repeated");
    if (p.noise == source::null_carriers && options.null_carriers.empty())
        throw core::Error("null_carriers is empty: give the indices of the vector where nothing is "
                          "sent, or choose another source of the noise variance");
    if (p.noise == source::delay_tail) {
        if (!(options.delay_window >= 0) || options.delay_window > n)
            throw core::Error("delay_window is " + text(options.delay_window) +
                              ": give samples, 0 (N/4) to " + text(n));
        p.tail = std::make_unique<core::DelayTailNoise>(
            e.observed.empty() ? std::vector<std::uint8_t>(n, 1) : e.observed,
            options.delay_window > 0 ? options.delay_window : 0.25f * n);
    }
    if (options.baseline_output && !square) {
        auto least_squares = core::load_scheme("ls");
        p.baseline = std::make_unique<core::Estimator>(least_squares, e);
    }
    return p;
}

gr::io_signature::sptr outputs_of(const estimate_impl::plan& p)
{
    std::vector<int> sizes = {static_cast<int>(p.output * sizeof(gr_complex))};
    if (p.options.variance_output)
        sizes.push_back(static_cast<int>(p.output * sizeof(float)));
    if (p.options.baseline_output)
        sizes.push_back(static_cast<int>(p.output * sizeof(gr_complex)));
    return gr::io_signature::makev(sizes.size(), sizes.size(), sizes);
}

} // namespace

estimate::sptr estimate::make(scheme::sptr scheme, const estimate_options& options)
{
    return gnuradio::make_block_sptr<estimate_impl>(check(scheme, options));
}

estimate_impl::estimate_impl(plan p)
    : gr::block("diffsem_estimate",
                gr::io_signature::make(1,
                                       1,
                                       p.input * sizeof(gr_complex) *
                                           (p.noise == source::repeated ? 2 : 1)),
                outputs_of(p)),
      d_noise_key(pmt::mp(p.options.noise_tag)),
      d(std::move(p)),
      d_per_output(d.noise == source::repeated_pairs ? 2 : 1),
      d_noise_var(d.options.noise_var),
      d_noise(d.options.max_batch),
      d_info(d.options.max_batch),
      d_ledger(*this, d_logger, d.options.live, offered)
{
    if (d.noise == source::repeated || d.noise == source::repeated_pairs)
        d_mean_of_two.resize(d.input * d.options.max_batch);
    message_port_register_in(d_keys.scheme);
    set_msg_handler(d_keys.scheme, [this](const pmt::pmt_t& m) { scheme_message(m); });
    set_relative_rate(1, d_per_output);
    // Ours to move: items may be dropped, and the second of a pair would be rounded up to the next output.
    set_tag_propagation_policy(TPP_DONT);
    begin();
}

void estimate_impl::begin()
{
    const auto& info = d.scheme->info();
    d_ledger.begin_model(
        d.run->trial_cost(), d.run->max_evaluations(), info.spec, info.content_hash, info.member);
}

// The same block with another scheme; throws where it would not fit.
std::unique_ptr<estimate_impl::plan> estimate_impl::replacement(diffsem::scheme::sptr handle)
{
    estimate_options options;
    std::size_t input, output;
    {
        std::lock_guard<std::mutex> lock(d_mutex);
        options = d.options;
        input = d.input;
        output = d.output;
    }
    auto next = std::make_unique<plan>(check(handle, options));
    if (next->input != input || next->output != output)
        throw core::Error("scheme '" + handle->spec() + "' takes " + text(next->input) +
                          " and gives " + text(next->output) + " elements, the running one " +
                          text(input) + " and " + text(output) +
                          ": the block's ports cannot change; make another block");
    return next;
}

void estimate_impl::set_scheme(diffsem::scheme::sptr handle)
{
    d_swap.offer(replacement(std::move(handle)));
}

void estimate_impl::scheme_message(const pmt::pmt_t& message)
{
    request_scheme(
        d_swap, d_ledger, d_logger, *d.handle, message, [this](diffsem::scheme::sptr handle) {
            return replacement(std::move(handle));
        });
}

// Between two calls; what was set meanwhile holds for the new one too.
void estimate_impl::swap()
{
    auto next = d_swap.take();
    if (!next)
        return;
    next->run->set_steps(d.options.steps);
    next->run->set_eta(d.options.eta);
    next->run->set_seed(d.options.seed);
    next->options = d.options;
    std::swap(d, *next);
    d_swap.retire(std::move(next));
    begin();
    d_ledger.swapped();
}

void estimate_impl::set_steps(int steps)
{
    check_steps(steps);
    std::lock_guard<std::mutex> lock(d_mutex);
    d.options.steps = steps;
    d.run->set_steps(steps);
    begin();
}

void estimate_impl::set_eta(float eta)
{
    check_eta(eta);
    std::lock_guard<std::mutex> lock(d_mutex);
    d.options.eta = eta;
    d.run->set_eta(eta);
}

void estimate_impl::set_seed(uint64_t seed)
{
    std::lock_guard<std::mutex> lock(d_mutex);
    d.options.seed = seed;
    d.run->set_seed(seed);
}

void estimate_impl::set_noise_var(float noise_var)
{
    check_noise_var(noise_var, false);
    std::lock_guard<std::mutex> lock(d_mutex);
    d_noise_var = noise_var;
    d_from_snr = false;
}

void estimate_impl::set_tag_items(bool tag_items)
{
    std::lock_guard<std::mutex> lock(d_mutex);
    d.options.tag_items = tag_items;
}

void estimate_impl::forecast(int, gr_vector_int& ninput_items_required)
{
    // One output is worth a call: what waits is taken, nothing more is waited for.
    ninput_items_required[0] = d_per_output;
}

void estimate_impl::baseline(const gr_complex* y, int items, gr_complex* out)
{
    if (d.baseline) {
        d.baseline->run(y, items, d_noise.data(), 1, d_first, out, nullptr, nullptr);
        return;
    }
    std::memcpy(out, y, items * d.input * sizeof(gr_complex));
    const auto& observed = d.estimator.observed;
    for (std::size_t k = 0; k < observed.size(); k++)
        if (!observed[k])
            for (int i = 0; i < items; i++)
                out[i * d.output + k] = 0;
}

int estimate_impl::general_work(int noutput_items,
                                gr_vector_int& ninput_items,
                                gr_vector_const_void_star& input_items,
                                gr_vector_void_star& output_items)
{
    std::lock_guard<std::mutex> lock(d_mutex);
    if (d_swap.ready())
        swap();
    const int waiting = ninput_items[0] / d_per_output;
    if (waiting < 1 || noutput_items < 1)
        return 0;
    const auto verdict = d_ledger.decide(d_first, waiting, d.options.max_batch);
    const auto* in = static_cast<const gr_complex*>(input_items[0]);
    if (verdict.evaluations == 0 && d_ledger.drops()) {
        drop(in, static_cast<int>(verdict.items));
        return 0;
    }
    const int items = std::min(noutput_items, static_cast<int>(verdict.items));

    const gr_complex* y = measure_noise(in, items);
    std::size_t port = 1;
    auto* mean = static_cast<gr_complex*>(output_items[0]);
    auto* variance =
        d.options.variance_output ? static_cast<float*>(output_items[port++]) : nullptr;
    d.run->run(y,
               items,
               d_noise.data(),
               1,
               d_first,
               mean,
               variance,
               d_info.data(),
               d_ledger.limit(verdict));
    if (d.options.baseline_output)
        baseline(y, items, static_cast<gr_complex*>(output_items[port]));

    d_ledger.left(d_first, d_info.data(), items);
    move_tags(items, output_items.size());
    if (const uint64_t gap = d_ledger.take_gap())
        add_item_tag(0, nitems_written(0), d_keys.dropped, pmt::from_uint64(gap));
    if (d.options.tag_items)
        tag_outputs(items);
    d_first += items;
    d_last_noise = d_info[items - 1].noise_var;
    d_ledger.report(d_last_noise);
    consume_each(items * d_per_output);
    return items;
}

void estimate_impl::drop(const gr_complex* in, int items)
{
    if (d.noise == source::tag)
        noise_from_tags(in, items); // what they say holds for those to come
    move_tags(items, output_signature()->min_streams(), false);
    d_ledger.dropped(items);
    d_first += items;
    d_ledger.report(d_last_noise);
    consume_each(items * d_per_output);
}

// To the item made of the one that carried them; of dropped ones to the next.
void estimate_impl::move_tags(int items, int ports, bool kept)
{
    const uint64_t read = nitems_read(0), written = nitems_written(0);
    get_tags_in_range(d_tags, 0, read, read + static_cast<uint64_t>(items) * d_per_output);
    for (auto& tag : d_tags) {
        tag.offset = written + (kept ? (tag.offset - read) / d_per_output : 0);
        for (int port = 0; port < ports; port++)
            add_item_tag(port, tag);
    }
}

void estimate_impl::tag_outputs(int items)
{
    const pmt::pmt_t latency = pmt::from_double(d_ledger.latency());
    for (int i = 0; i < items; i++) {
        const uint64_t at = nitems_written(0) + i;
        add_item_tag(0, at, d_keys.steps, pmt::from_long(d_info[i].steps));
        add_item_tag(0, at, d_keys.planned, pmt::from_long(d_info[i].planned));
        add_item_tag(0, at, d_keys.noise_var, pmt::from_double(d_info[i].noise_var));
        add_item_tag(0, at, d_keys.latency, latency);
        add_item_tag(0, at, d_keys.age, pmt::from_double(d_ledger.age(d_first + i)));
        add_item_tag(0, at, d_keys.model, d_ledger.model_symbol());
        if (d_info[i].bypassed)
            add_item_tag(0, at, d_keys.bypassed, pmt::mp(d_info[i].reason));
    }
}

} // namespace diffsem
} // namespace gr
