/*
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#include "ofdm_chanest_vcvc_impl.h"

#include <gnuradio/io_signature.h>

#include <algorithm>
#include <cstring>

namespace gr {
namespace diffsem {

namespace {

constexpr int max_batch = 32;

inference_ledger::offers all_but_drop()
{
    inference_ledger::offers o;
    // header_payload_demux does
    o.no_drop = "this receiver waits for the answer of each frame, so none may be dropped";
    return o;
}

scheme_settings settings_of(const ofdm_chanest_options& options)
{
    scheme_settings set;
    set.steps = options.steps;
    set.seed = options.seed;
    return set;
}

} // namespace

ofdm_chanest_vcvc::sptr ofdm_chanest_vcvc::make(scheme::sptr scheme,
                                                const std::vector<gr_complex>& sync_symbol1,
                                                const std::vector<gr_complex>& sync_symbol2,
                                                int n_data_symbols,
                                                const ofdm_chanest_options& options)
{
    if (n_data_symbols < 1)
        throw core::Error("n_data_symbols is " + text(n_data_symbols) + ": give at least 1");
    for (const auto* key : {"auto", "none", "noise", "error", "all", ""})
        if (options.extra_tags == key && *key)
            break;
        else if (!*key)
            throw core::Error("extra_tags is '" + options.extra_tags +
                              "': give one of auto, none, noise, error, all");
    check_noise_var(options.noise_var, true);
    check_steps(options.steps);
    inference_ledger::check(options.live, all_but_drop());
    core::SyncWords sync(sync_symbol1,
                         sync_symbol2,
                         options.max_carr_offset,
                         options.force_one_sync_symbol,
                         options.eq_noise_red_len);
    auto plan =
        ofdm_chanest_vcvc_impl::prepare(scheme, sync, settings_of(options), options.noise_var);
    return gnuradio::make_block_sptr<ofdm_chanest_vcvc_impl>(
        std::move(plan), std::move(sync), n_data_symbols, options);
}

ofdm_chanest_vcvc_impl::plan ofdm_chanest_vcvc_impl::prepare(diffsem::scheme::sptr handle,
                                                             const core::SyncWords& sync,
                                                             const scheme_settings& set,
                                                             float noise_var)
{
    plan p(std::move(handle));
    const auto& info = p.scheme->info();
    if (!info.complex_domain)
        throw core::Error("scheme '" + info.spec +
                          "' is made for real data; a channel estimate needs a complex one");
    if (info.shape.size() != 2 && p.scheme->item_size() &&
        p.scheme->item_size() != static_cast<std::size_t>(sync.size()))
        throw core::Error("scheme '" + info.spec + "' is made for " + shape_text(info) +
                          " carriers, but the sync words have " + text(sync.size()) +
                          " (the FFT length): use 'ofdm_grid', which takes any, a scheme trained "
                          "for that length, or 'ls'");
    if (!p.scheme->parts().prior)
        return p;
    if (noise_var == 0 && !sync.noise_error().empty())
        throw core::Error("noise_var is 0 (measure it), but " + sync.noise_error());
    core::EstimatorOptions options;
    options.max_batch = max_batch;
    options.steps = set.steps;
    options.eta = set.eta;
    options.seed = set.seed;
    options.unseeded_stream = next_noise_stream();
    p.run = std::make_unique<tap_run>(p.scheme, sync, options);
    return p;
}

ofdm_chanest_vcvc_impl::ofdm_chanest_vcvc_impl(plan p,
                                               core::SyncWords sync,
                                               int n_data_symbols,
                                               const ofdm_chanest_options& options)
    : gr::block("ofdm_chanest_vcvc",
                gr::io_signature::make(1, 1, sizeof(gr_complex) * sync.size()),
                gr::io_signature::make(1, 2, sizeof(gr_complex) * sync.size())),
      d_sync(std::move(sync)),
      d_data_symbols(n_data_symbols),
      d_frame_symbols(n_data_symbols + d_sync.count()),
      d_extra_tags(options.extra_tags),
      d_tag_error(d_extra_tags == "error" || d_extra_tags == "all"),
      d_tag_all(d_extra_tags == "all"),
      d_noise_var(options.noise_var),
      d_live(*this,
             d_logger,
             std::move(p),
             settings_of(options),
             options.live,
             all_but_drop(),
             [this](auto handle, const auto& set) {
                 return prepare(handle, d_sync, set, current_noise_var());
             }),
      d(d_live.plan()),
      d_ledger(d_live.ledger())
{
    const std::size_t n = d_sync.size();
    for (auto* each : {&d_tap_noise, &d_error})
        each->resize(n * max_batch);
    for (auto* each : {&d_ls, &d_taps})
        each->resize(n * max_batch);
    d_offset.resize(max_batch);
    d_noise.resize(max_batch);
    d_info.resize(max_batch);

    set_output_multiple(d_data_symbols);
    set_relative_rate(d_data_symbols, d_frame_symbols);
    set_tag_propagation_policy(TPP_DONT);
    begin();
}

// With another scheme.
void ofdm_chanest_vcvc_impl::begin()
{
    d_tag_noise = d_tag_error || d_extra_tags == "noise" || (d_extra_tags == "auto" && d.run);
    std::fill(d_info.begin(), d_info.end(), core::ItemInfo());
}

float ofdm_chanest_vcvc_impl::current_noise_var()
{
    std::lock_guard<std::mutex> lock(d_live.mutex());
    return d_noise_var;
}

void ofdm_chanest_vcvc_impl::set_noise_var(float noise_var)
{
    check_noise_var(noise_var, true);
    std::lock_guard<std::mutex> lock(d_live.mutex());
    if (noise_var == 0 && d.run && !d_sync.noise_error().empty())
        throw core::Error("noise_var is 0 (measure it), but " + d_sync.noise_error());
    d_noise_var = noise_var;
}

void ofdm_chanest_vcvc_impl::forecast(int noutput_items, gr_vector_int& ninput_items_required)
{
    ninput_items_required[0] = noutput_items / d_data_symbols * d_frame_symbols;
}

// Fills d_offset, d_noise, d_ls, d_error, and d_taps and d_info unless the scheme is `ls`.
void ofdm_chanest_vcvc_impl::estimate(const gr_complex* in, int frames, const core::RunLimit& limit)
{
    const int n = d_sync.size();
    const auto& gain = d_sync.tap_noise_gain();
    const bool measure = d.run || d_tag_noise;
    const int stride = d_sync.tap_noise_size();

    for (int f = 0; f < frames; f++) {
        const gr_complex* frame = in + static_cast<std::size_t>(f) * d_frame_symbols * n;
        gr_complex* ls = &d_ls[static_cast<std::size_t>(f) * n];
        d_offset[f] = d_sync.search_offset(frame);
        d_sync.ls_taps(frame, d_offset[f], ls);
        if (!measure)
            continue;
        d_noise[f] = d_noise_var > 0 ? d_noise_var : d_sync.noise(frame, d_offset[f], ls);
        if (d.run)
            d_sync.tap_noise(d_noise[f], &d_tap_noise[static_cast<std::size_t>(f) * stride]);
        else if (d_tag_error)
            for (int k = 0; k < n; k++)
                d_error[static_cast<std::size_t>(f) * n + k] = d_noise[f] * gain[k];
    }
    if (d.run) {
        d.run->estimator().set_noise_freedom(d_noise_var > 0 ? 0 : float(d_sync.noise_freedom()));
        d.run->run(d_ls.data(),
                   frames,
                   d_tap_noise.data(),
                   stride,
                   d_frames,
                   d_taps.data(),
                   d_tag_error ? d_error.data() : nullptr,
                   d_info.data(),
                   limit);
    }
}

void ofdm_chanest_vcvc_impl::move_tags(int frames)
{
    const uint64_t read = nitems_read(0), written = nitems_written(0);
    get_tags_in_range(d_tags, 0, read, read + static_cast<uint64_t>(frames) * d_frame_symbols);
    for (auto& tag : d_tags) {
        const uint64_t frame = (tag.offset - read) / d_frame_symbols;
        const int symbol = static_cast<int>((tag.offset - read) % d_frame_symbols);
        tag.offset = written + frame * d_data_symbols + std::max(0, symbol - d_sync.count());
        add_item_tag(0, tag);
    }
}

int ofdm_chanest_vcvc_impl::general_work(int noutput_items,
                                         gr_vector_int& ninput_items,
                                         gr_vector_const_void_star& input_items,
                                         gr_vector_void_star& output_items)
{
    std::lock_guard<std::mutex> lock(d_live.mutex());
    if (d_live.exchange())
        begin();
    const auto* in = static_cast<const gr_complex*>(input_items[0]);
    auto* out = static_cast<gr_complex*>(output_items[0]);
    const std::size_t n = d_sync.size();
    const int waiting = ninput_items[0] / d_frame_symbols;
    if (waiting < 1 || noutput_items < d_data_symbols)
        return 0;
    const auto verdict = d_ledger.decide(d_frames, waiting, max_batch);
    const int frames = std::min(noutput_items / d_data_symbols, static_cast<int>(verdict.items));
    estimate(in, frames, d_ledger.limit(verdict));
    d_ledger.left(d_frames, d_info.data(), frames);

    for (int f = 0; f < frames; f++) {
        const gr_complex* taps = &(d.run && !d_info[f].bypassed ? d_taps : d_ls)[f * n];
        tag_frame(f, taps);
        if (output_items.size() > 1)
            std::memcpy(
                static_cast<gr_complex*>(output_items[1]) + f * n, taps, n * sizeof(gr_complex));
        std::memcpy(out + static_cast<std::size_t>(f) * d_data_symbols * n,
                    in + (static_cast<std::size_t>(f) * d_frame_symbols + d_sync.count()) * n,
                    d_data_symbols * n * sizeof(gr_complex));
    }
    move_tags(frames);
    d_frames += frames;
    d_ledger.report(d_noise[frames - 1]);

    if (output_items.size() > 1)
        produce(1, frames);
    produce(0, frames * d_data_symbols);
    consume_each(frames * d_frame_symbols);
    return WORK_CALLED_PRODUCE;
}

void ofdm_chanest_vcvc_impl::tag_frame(int f, const gr_complex* taps)
{
    const std::size_t n = d_sync.size();
    const auto& info = d_info[f];
    const uint64_t at = nitems_written(0) + static_cast<uint64_t>(f) * d_data_symbols;
    const auto add = [&](const pmt::pmt_t& key, const pmt::pmt_t& value) {
        add_item_tag(0, at, key, value);
    };
    add(d_keys.carr_offset, pmt::from_long(d_offset[f]));
    add(d_keys.chan_taps, pmt::init_c32vector(n, taps));
    if (d_tag_noise)
        add(d_keys.noise_var, pmt::from_double(d_noise[f]));
    if (d_tag_error)
        add(d_keys.error_var, pmt::init_f32vector(n, &d_error[f * n]));
    d_live.tag_bypass(info, add);
    if (d_tag_all)
        d_live.tag_inference(info, d_frames + f, add);
}

} // namespace diffsem
} // namespace gr
