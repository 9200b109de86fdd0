/*
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#include "estimate_impl.h"

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

// Noise-free simulations have a noise variance of 0; a prior needs one above it.
constexpr float least_relative_noise = 1e-9f;

estimate_impl::plan check(const scheme::sptr& handle, const estimate_options& options)
{
    if (!handle)
        throw core::Error("scheme is missing: give a name such as 'ls', or a diffsem.scheme");
    estimate_impl::plan p;
    p.options = options;
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
        auto least_squares = core::Scheme::load("ls");
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
      d_info(d.options.max_batch)
{
    if (d.noise == source::repeated || d.noise == source::repeated_pairs)
        d_mean_of_two.resize(d.input * d.options.max_batch);
    message_port_register_out(d_keys.stats);
    set_relative_rate(1, d_per_output);
    // The scheduler would round the second of a pair up to the next output.
    set_tag_propagation_policy(d_per_output == 1 ? TPP_ALL_TO_ALL : TPP_DONT);
}

void estimate_impl::set_steps(int steps)
{
    check_steps(steps);
    std::lock_guard<std::mutex> lock(d_mutex);
    d.run->set_steps(steps);
}

void estimate_impl::set_eta(float eta)
{
    check_eta(eta);
    std::lock_guard<std::mutex> lock(d_mutex);
    d.run->set_eta(eta);
}

void estimate_impl::set_seed(uint64_t seed)
{
    std::lock_guard<std::mutex> lock(d_mutex);
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

float estimate_impl::observed_power(const gr_complex* y) const
{
    const auto& observed = d.estimator.observed;
    double sum = 0;
    std::size_t count = 0;
    for (std::size_t i = 0; i < d.input; i++) {
        if (i < observed.size() && !observed[i])
            continue;
        sum += std::norm(y[i]);
        count++;
    }
    return static_cast<float>(sum / std::max<std::size_t>(count, 1));
}

// A blind estimate, averaged over items if asked for and kept above what a prior can work with.
float estimate_impl::averaged(float noise, const gr_complex* y)
{
    if (!std::isfinite(noise))
        return noise; // bypassed, and no part of the average
    const float weight = d.options.noise_averaging;
    if (weight < 1) {
        d_average = d_average < 0 ? noise : d_average + weight * (noise - d_average);
        noise = static_cast<float>(d_average);
    }
    return noise > 0 ? noise : least_relative_noise * observed_power(y);
}

void estimate_impl::noise_from_tags(const gr_complex* in, int items)
{
    const uint64_t read = nitems_read(0);
    get_tags_in_range(d_tags, 0, read, read + items);
    std::sort(d_tags.begin(), d_tags.end(), tag_t::offset_compare);
    auto tag = d_tags.begin();
    for (int i = 0; i < items; i++) {
        for (; tag != d_tags.end() && tag->offset <= read + i; ++tag) {
            if (!pmt::is_number(tag->value) || pmt::is_complex(tag->value))
                continue;
            if (pmt::eqv(tag->key, d_noise_key)) {
                d_noise_var = static_cast<float>(pmt::to_double(tag->value));
                d_from_snr = false;
            } else if (pmt::eqv(tag->key, d_keys.snr)) {
                d_rho = static_cast<float>(std::pow(10.0, pmt::to_double(tag->value) / 10));
                d_from_snr = true;
            }
        }
        d_noise[i] = d_from_snr ? observed_power(in + i * d.input) / (1 + d_rho) : d_noise_var;
    }
}

// Fills d_noise; gives the measurements, which for repeated ones are the means of the two.
const gr_complex* estimate_impl::measure_noise(const gr_complex* in, int items)
{
    const std::size_t m = d.input;
    switch (d.noise) {
    case source::parameter:
        std::fill_n(d_noise.begin(), items, d_noise_var);
        return in;
    case source::tag:
        noise_from_tags(in, items);
        return in;
    case source::null_carriers:
        for (int i = 0; i < items; i++)
            d_noise[i] =
                averaged(core::null_carrier_noise(in + i * m, d.options.null_carriers), in + i * m);
        return in;
    case source::delay_tail:
        for (int i = 0; i < items; i++)
            d_noise[i] = averaged((*d.tail)(in + i * m), in + i * m);
        return in;
    case source::repeated:
    case source::repeated_pairs:
        break;
    }
    const auto* observed = d.estimator.observed.empty() ? nullptr : d.estimator.observed.data();
    for (int i = 0; i < items; i++) {
        const gr_complex* first = in + 2 * i * m;
        gr_complex* mean = &d_mean_of_two[i * m];
        d_noise[i] =
            0.5f * averaged(core::repeated_noise(first, first + m, observed, m, mean), first);
    }
    return d_mean_of_two.data();
}

void estimate_impl::baseline(const gr_complex* y, int items, gr_complex* out)
{
    if (d.baseline) {
        d.baseline->run(y, items, d_noise.data(), 1, d_items, out, nullptr, nullptr);
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
    const auto started = std::chrono::steady_clock::now();
    const int items =
        std::min({noutput_items, ninput_items[0] / d_per_output, d.options.max_batch});
    if (items < 1)
        return 0;

    const gr_complex* y = measure_noise(static_cast<const gr_complex*>(input_items[0]), items);
    std::size_t port = 1;
    auto* mean = static_cast<gr_complex*>(output_items[0]);
    auto* variance =
        d.options.variance_output ? static_cast<float*>(output_items[port++]) : nullptr;
    d.run->run(y, items, d_noise.data(), 1, d_items, mean, variance, d_info.data());
    if (d.options.baseline_output)
        baseline(y, items, static_cast<gr_complex*>(output_items[port]));

    for (int i = 0; i < items; i++) {
        if (!d_info[i].bypassed)
            continue;
        d_bypassed++;
        if (d_log_limit.due())
            d_logger->warn("item {} could not be estimated ({}): passed on as it came; {} so far",
                           d_items + i,
                           d_info[i].reason,
                           d_bypassed.load());
    }
    if (d_per_output > 1)
        move_tags(items, output_items.size());
    if (d.options.tag_items)
        tag_outputs(
            items,
            std::chrono::duration<double>(std::chrono::steady_clock::now() - started).count());
    d_items += items;
    d_calls++;
    d_last_noise = d_info[items - 1].noise_var;
    d_last_steps = d_info[items - 1].steps;
    report();
    consume_each(items * d_per_output);
    return items;
}

void estimate_impl::move_tags(int items, int ports)
{
    const uint64_t read = nitems_read(0), written = nitems_written(0);
    get_tags_in_range(d_tags, 0, read, read + static_cast<uint64_t>(items) * d_per_output);
    for (auto& tag : d_tags) {
        tag.offset = written + (tag.offset - read) / d_per_output;
        for (int port = 0; port < ports; port++)
            add_item_tag(port, tag);
    }
}

void estimate_impl::tag_outputs(int items, double latency)
{
    for (int i = 0; i < items; i++) {
        const uint64_t at = nitems_written(0) + i;
        add_item_tag(0, at, d_keys.steps, pmt::from_long(d_info[i].steps));
        add_item_tag(0, at, d_keys.noise_var, pmt::from_double(d_info[i].noise_var));
        add_item_tag(0, at, d_keys.latency, pmt::from_double(latency));
        if (d_info[i].bypassed)
            add_item_tag(0, at, d_keys.bypassed, pmt::mp(d_info[i].reason));
    }
}

void estimate_impl::report()
{
    if (!d_stats_limit.due())
        return;
    pmt::pmt_t stats = counters(d_items, d_bypassed);
    stats = pmt::dict_add(stats, pmt::mp("calls"), pmt::from_uint64(d_calls));
    stats = pmt::dict_add(stats, pmt::mp("noise_var"), pmt::from_double(d_last_noise));
    stats = pmt::dict_add(stats, pmt::mp("steps"), pmt::from_long(d_last_steps));
    message_port_pub(d_keys.stats, stats);
}

} // namespace diffsem
} // namespace gr
