/*
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#include "estimate_impl.h"

#include <gnuradio/io_signature.h>

#include <algorithm>
#include <cmath>
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
constexpr int most_draws = 1024;

void check(const estimate_options& options, source noise)
{
    inference_ledger::check(options.live, offered);
    if (!std::isinf(options.noise_var) || noise != source::parameter)
        check_noise_var(options.noise_var, false);
    if (!options.domain.empty() && options.domain != "complex" && options.domain != "real")
        throw core::Error("domain is '" + options.domain +
                          "': give complex, real, or '' for the scheme's own");
    check_steps(options.steps);
    check_eta(options.eta);
    if (options.max_batch < 1 || options.max_batch > 65536)
        throw core::Error("max_batch is " + text(options.max_batch) + ": give 1 to 65536");
    if (options.draws < 0 || options.draws > most_draws)
        throw core::Error("draws is " + text(options.draws) + ": give 0 (none) to " +
                          text(most_draws));
    if (!(options.noise_averaging > 0) || options.noise_averaging > 1)
        throw core::Error("noise_averaging is " + text(options.noise_averaging) +
                          ": give the weight of the newest estimate, above 0 to 1");
    if (!(options.noise_freedom >= 0) || !std::isfinite(options.noise_freedom))
        throw core::Error("noise_freedom is " + text(options.noise_freedom) +
                          ": give the elements of noise that the variance was measured on, or 0 "
                          "where it is exact");
    if (noise == source::tag && options.noise_tag.empty())
        throw core::Error("noise_tag is empty: give the key of the tag, e.g. diffsem_noise_var");

    if (noise == source::null_carriers && options.null_carriers.empty())
        throw core::Error("null_carriers is empty: give the indices of the vector where nothing is "
                          "sent, or choose another source of the noise variance");
}

// Which of N elements are measured; empty: all.
std::vector<uint8_t> observed_of(const estimate_options& options, std::size_t n)
{
    auto nulls = core::mask_from_indices(options.null_carriers, n, "null_carriers");
    if (options.observed.empty()) {
        for (auto& o : nulls)
            o = !o;
        return options.null_carriers.empty() ? std::vector<uint8_t>() : nulls;
    }
    const auto observed = core::mask_from_indices(options.observed, n, "observed");
    for (int k : options.null_carriers)
        if (observed[k])
            throw core::Error("null_carriers: index " + text(k) +
                              " is also in observed; a carrier is one or the other");
    return observed;
}

void check_content(const estimate_options& options, const core::SchemeInfo& info, std::size_t size)
{
    if (!size && options.latent_output)
        throw core::Error("latent_output is set, but scheme '" + info.spec +
                          "' has no codec, so that its estimate is no latent: leave it out");
    if (size && options.draws > 0)
        throw core::Error("draws is " + text(options.draws) + ", but scheme '" + info.spec +
                          "' has a codec, and draws would be latents: give 0; the estimate of a "
                          "sampler that draws is a draw");
    if (options.content_size && options.content_size != size)
        throw core::Error("content_size is " + text(options.content_size) + ", but scheme '" +
                          info.spec + "' " +
                          (size ? "gives content of " + text(size) + " elements: give that, or 0"
                                : std::string("has no codec: give 0")));
}

estimate_impl::plan
prepare(const scheme::sptr& handle, const estimate_options& options, source noise)
{
    estimate_impl::plan p(handle);
    const auto& info = p.scheme->info();
    if (info.image)
        throw core::Error("scheme '" + info.spec +
                          "' is of photographs, whose size comes with each: use the block "
                          "semantic_decoder");
    const std::string domain = info.complex_domain ? "complex" : "real";
    if (!options.domain.empty() && options.domain != domain)
        throw core::Error("domain is '" + options.domain + "', but scheme '" + info.spec +
                          "' is made for " + domain + " data: give domain='" + domain +
                          "', or another scheme");
    if (noise == source::delay_tail && !info.complex_domain)
        throw core::Error("noise is 'delay_tail', but scheme '" + info.spec +
                          "' is made for real data, which have no delays: use parameter, tag, "
                          "repeated, repeated_pairs or null_carriers");
    if (std::isinf(options.noise_var) && p.scheme->parts().start->consumes_measurement)
        throw core::Error("noise_var is infinite, but scheme '" + info.spec +
                          "' starts at the measurement: use start=noise to draw from the prior, or "
                          "give the noise variance per element, above 0");
    std::size_t n = p.scheme->item_size();
    if (n && options.item_size && n != options.item_size)
        throw core::Error("item_size is " + text(options.item_size) + ", but scheme '" + info.spec +
                          "' is made for " + shape_text(info) + " = " + text(n) +
                          " elements: give that, or 0");
    n = n ? n : options.item_size;
    if (!n)
        throw core::Error("item_size is 0, but scheme '" + info.spec +
                          "' takes any length: give the vector length");

    core::EstimatorOptions e;
    e.item_size = n;
    e.max_batch = options.max_batch;
    e.steps = options.steps;
    e.eta = options.eta;
    e.seed = options.seed;
    e.unseeded_stream = next_noise_stream();
    e.noise_freedom = options.noise_freedom;
    e.conditions = options.condition;
    if (!options.matrix.empty()) {
        if (options.matrix.size() % n)
            throw core::Error("matrix has " + text(options.matrix.size()) + " values: give M x " +
                              text(n) + ", row by row");
        e.matrix = options.matrix;
        e.matrix_rows = options.matrix.size() / n;
    }
    e.observed = p.observed = observed_of(options, n);
    p.run = std::make_unique<core::Estimator>(p.scheme, e);
    check_content(options, info, p.content());
    if (options.draws > 0)
        p.run->check_draws();
    if (p.scheme->parts().op->measurement_is_state)
        return p; // an element of y is one of x
    if (noise == source::null_carriers || noise == source::delay_tail)
        throw core::Error("noise is '" + options.noise + "', but scheme '" + info.spec +
                          "' measures through the operator '" + info.op +
                          "', where no element is a carrier: use "
                          "parameter, tag or repeated");
    if (options.baseline_output)
        p.baseline = std::make_unique<core::Estimator>(p.scheme, e);
    return p;
}

// floats in an element
std::size_t parts_of(const estimate_impl::plan& p)
{
    return p.scheme->info().complex_domain ? 2 : 1;
}

//! None where the noise is told.
std::unique_ptr<core::BlindNoise>
blind_of(const estimate_options& options, source noise, const estimate_impl::plan& p)
{
    if (noise == source::parameter || noise == source::tag)
        return nullptr;
    using From = core::BlindNoise::Source;
    core::BlindNoise::Options blind;
    blind.source = noise == source::null_carriers ? From::null_carriers
                   : noise == source::delay_tail  ? From::delay_tail
                                                  : From::repeated;
    blind.size = p.input();
    blind.parts = parts_of(p);
    blind.observed = p.observed;
    blind.null_carriers = options.null_carriers;
    blind.weight = options.noise_averaging;
    if (noise == source::delay_tail) {
        if (!(options.delay_window >= 0) || options.delay_window > blind.size)
            throw core::Error("delay_window is " + text(options.delay_window) +
                              ": give samples, 0 (N/4) to " + text(blind.size));
        blind.delay_window = options.delay_window;
    }
    return std::make_unique<core::BlindNoise>(blind);
}

gr::io_signature::sptr outputs_of(const estimate_impl::plan& p, const estimate_options& options)
{
    const int plain = static_cast<int>(p.output() * sizeof(float)),
              whole = static_cast<int>(parts_of(p)) * plain;
    const int first = p.content() ? static_cast<int>(p.content() * sizeof(float)) : whole;
    std::vector<int> sizes = {first};
    if (options.variance_output)
        sizes.push_back(plain);
    if (options.baseline_output)
        sizes.push_back(first);
    if (options.latent_output)
        sizes.push_back(whole);
    if (options.draws > 0)
        sizes.push_back(options.draws * whole);
    return gr::io_signature::makev(sizes.size(), sizes.size(), sizes);
}

} // namespace

estimate::sptr estimate::make(scheme::sptr scheme, const estimate_options& options)
{
    const source noise = parse_source(options.noise);
    check(options, noise);
    auto plan = prepare(scheme, options, noise);
    auto blind = blind_of(options, noise, plan);
    return gnuradio::make_block_sptr<estimate_impl>(
        std::move(plan), options, noise, std::move(blind));
}

estimate_impl::estimate_impl(plan p,
                             const estimate_options& options,
                             source noise,
                             std::unique_ptr<core::BlindNoise> blind)
    : gr::block("diffsem_estimate",
                gr::io_signature::make(1,
                                       1,
                                       p.input() * parts_of(p) * sizeof(float) *
                                           (noise == source::repeated ? 2 : 1)),
                outputs_of(p, options)),
      d_options(options),
      d_source(noise),
      d_blind(std::move(blind)),
      d_input(p.input()),
      d_output(p.output()),
      d_parts(parts_of(p)),
      d_content(p.content()),
      d_observed(p.observed),
      d_noise_key(pmt::mp(options.noise_tag)),
      d_per_output(noise == source::repeated_pairs ? 2 : 1),
      d_tag_items(options.tag_items),
      d_noise_var(options.noise_var),
      d_noise(options.max_batch),
      d_info(options.max_batch),
      d_draw_info(options.draws),
      d_live(*this,
             d_logger,
             std::move(p),
             {options.steps, options.eta, options.seed},
             options.live,
             offered,
             [this](auto handle, const auto& set) { return another(handle, set); }),
      d(d_live.plan()),
      d_ledger(d_live.ledger())
{
    if (noise == source::repeated || noise == source::repeated_pairs)
        d_mean_of_two.resize(d_parts * d_input * options.max_batch);
    if (d_content) {
        d_latent.resize(d_parts * d_output * options.max_batch);
        d_baseline_latent.resize(d_latent.size());
    }
    set_relative_rate(1, d_per_output);
    // Ours to move: items may be dropped, and the second of a pair would be rounded up to the next output.
    set_tag_propagation_policy(TPP_DONT);
    message_port_register_in(d_keys.condition);
    set_msg_handler(d_keys.condition,
                    [this](const pmt::pmt_t& message) { condition_message(message); });
}

estimate_impl::plan estimate_impl::another(diffsem::scheme::sptr handle,
                                           const scheme_settings& set) const
{
    auto options = d_options;
    options.steps = set.steps;
    options.eta = set.eta;
    options.seed = set.seed;
    const auto next_scheme = plan(handle).scheme;
    options.condition = kept_conditions(*next_scheme);
    if (!next_scheme->info().guard) // which alone reads it
        options.noise_freedom = 0;
    if (options.domain.empty())
        options.domain = d_parts == 2 ? "complex" : "real";
    auto next = prepare(handle, options, d_source);
    if (next.input() != d_input || next.output() != d_output || next.content() != d_content)
        throw core::Error("scheme '" + handle->spec() + "' takes " + text(next.input()) +
                          " and gives " + text(next.content() ? next.content() : next.output()) +
                          " elements, the running one " + text(d_input) + " and " +
                          text(d_content ? d_content : d_output) +
                          ": the block's ports cannot change; make another block");
    return next;
}

void estimate_impl::set_steps(int steps)
{
    constexpr int least = core::Estimator::least_draw_levels;
    if (d_options.draws > 0 && steps > 0 && steps < least)
        throw core::Error("steps is " + text(steps) + ", but draws is " + text(d_options.draws) +
                          ", and draws of so few levels are not spread as the posterior is: give " +
                          text(least) + " or more");
    d_live.set_steps(steps);
}

void estimate_impl::set_noise_var(float noise_var)
{
    std::lock_guard<std::mutex> lock(d_live.mutex());
    if (!std::isinf(noise_var) || d.scheme->parts().start->consumes_measurement)
        check_noise_var(noise_var, false);
    d_noise_var = noise_var;
    d_from_snr = false;
}

void estimate_impl::set_tag_items(bool tag_items)
{
    std::lock_guard<std::mutex> lock(d_live.mutex());
    d_tag_items = tag_items;
}

void estimate_impl::forecast(int, gr_vector_int& ninput_items_required)
{
    // One output is worth a call: what waits is taken, nothing more is waited for.
    ninput_items_required[0] = d_per_output;
}

void estimate_impl::baseline(const float* y, int items, float* out)
{
    float* to = d_content ? d_baseline_latent.data() : out;
    if (d.baseline) {
        // Without an evaluation the operator's classical answer passes.
        d.baseline->run(
            y, items, d_noise.data(), 1, d_first, to, nullptr, nullptr, {0, "baseline"});
    } else {
        std::memcpy(to, y, items * d_parts * d_input * sizeof(float));
        for (std::size_t k = 0; k < d_observed.size(); k++)
            if (!d_observed[k])
                for (int i = 0; i < items; i++)
                    std::fill_n(to + (i * d_output + k) * d_parts, d_parts, 0.0f);
    }
    if (d_content)
        d.run->decode(to, items, out, nullptr);
}

int estimate_impl::general_work(int noutput_items,
                                gr_vector_int& ninput_items,
                                gr_vector_const_void_star& input_items,
                                gr_vector_void_star& output_items)
{
    std::lock_guard<std::mutex> lock(d_live.mutex());
    d_live.exchange();
    const int waiting = ninput_items[0] / d_per_output;
    if (waiting < 1 || noutput_items < 1)
        return 0;
    const auto verdict = d_ledger.decide(d_first, waiting, d_options.max_batch);
    const auto* in = static_cast<const float*>(input_items[0]);
    if (verdict.evaluations == 0 && d_ledger.drops()) {
        drop(in, static_cast<int>(verdict.items));
        return 0;
    }
    const int items = std::min(noutput_items, static_cast<int>(verdict.items));

    if (d_blind && d.run) // what it was before these items: not more than it will be
        d.run->set_noise_freedom(d_blind->freedom());
    const float* y = measure_noise(in, items);
    std::size_t port = 1;
    auto* mean = static_cast<float*>(output_items[0]);
    auto* variance =
        d_options.variance_output ? static_cast<float*>(output_items[port++]) : nullptr;
    auto* classical =
        d_options.baseline_output ? static_cast<float*>(output_items[port++]) : nullptr;
    float* draws = d_options.draws > 0 ? static_cast<float*>(output_items.back()) : nullptr;
    auto* latent =
        d_options.latent_output ? static_cast<float*>(output_items[port]) : d_latent.data();
    run(y, items, d_content ? latent : mean, variance, draws, d_ledger.limit(verdict));
    if (d_content)
        d.run->decode(latent, items, mean, d_info.data());
    if (classical)
        baseline(y, items, classical);

    d_ledger.left(d_first, d_info.data(), items);
    move_tags(items, output_items.size());
    if (const uint64_t gap = d_ledger.take_gap())
        add_item_tag(0, nitems_written(0), d_keys.dropped, pmt::from_uint64(gap));
    if (d_tag_items)
        tag_outputs(items);
    d_first += items;
    d_last_noise = d_info[items - 1].noise_var;
    d_ledger.report(d_last_noise);
    consume_each(items * d_per_output);
    return items;
}

void estimate_impl::drop(const float* in, int items)
{
    if (d_source == source::tag)
        noise_from_tags(in, items); // what they say holds for those to come
    find_telling_tags(items);
    for (const tag_t& tag : d_telling)
        tell_from_tag(tag);
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
    for (int i = 0; i < items; i++) {
        d_live.tag_item(d_info[i], d_first + i, [&](const auto& key, const auto& value) {
            add_item_tag(0, nitems_written(0) + i, key, value);
        });
    }
}

} // namespace diffsem
} // namespace gr
