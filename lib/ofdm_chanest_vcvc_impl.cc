/*
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#include "ofdm_chanest_vcvc_impl.h"

#include <gnuradio/io_signature.h>

#include <algorithm>
#include <cstring>

namespace gr {
namespace diffsem {

ofdm_chanest_vcvc::sptr ofdm_chanest_vcvc::make(scheme::sptr scheme,
                                                const std::vector<gr_complex>& sync_symbol1,
                                                const std::vector<gr_complex>& sync_symbol2,
                                                int n_data_symbols,
                                                int eq_noise_red_len,
                                                int max_carr_offset,
                                                bool force_one_sync_symbol,
                                                float noise_var,
                                                const std::string& extra_tags,
                                                int steps,
                                                uint64_t seed)
{
    if (!scheme)
        throw core::Error("scheme is missing: give a name such as 'ls', or a diffsem.scheme");
    if (n_data_symbols < 1)
        throw core::Error("n_data_symbols is " + text(n_data_symbols) + ": give at least 1");
    for (const auto* key : {"auto", "none", "noise", "error", ""})
        if (extra_tags == key && *key)
            break;
        else if (!*key)
            throw core::Error("extra_tags is '" + extra_tags +
                              "': give one of auto, none, noise, error");
    check_noise_var(noise_var, true);
    check_steps(steps);
    core::SyncWords sync(
        sync_symbol1, sync_symbol2, max_carr_offset, force_one_sync_symbol, eq_noise_red_len);

    auto loaded = scheme->get();
    const auto& info = loaded->info();
    if (!info.complex_domain)
        throw core::Error("scheme '" + info.spec +
                          "' is made for real data; a channel estimate needs a complex one");
    if (loaded->item_size() && loaded->item_size() != sync_symbol1.size())
        throw core::Error("scheme '" + info.spec + "' is made for " + shape_text(info) +
                          " carriers, but the sync words have " + text(sync_symbol1.size()) +
                          " (the FFT length): use a scheme trained for that length, or 'ls'");
    if (info.prior != "none" && noise_var == 0 && !sync.noise_error().empty())
        throw core::Error("noise_var is 0 (measure it), but " + sync.noise_error());

    return gnuradio::make_block_sptr<ofdm_chanest_vcvc_impl>(
        loaded, std::move(sync), n_data_symbols, noise_var, extra_tags, steps, seed);
}

ofdm_chanest_vcvc_impl::ofdm_chanest_vcvc_impl(std::shared_ptr<const core::Scheme> scheme,
                                               core::SyncWords sync,
                                               int n_data_symbols,
                                               float noise_var,
                                               const std::string& extra_tags,
                                               int steps,
                                               uint64_t seed)
    : gr::block("ofdm_chanest_vcvc",
                gr::io_signature::make(1, 1, sizeof(gr_complex) * sync.size()),
                gr::io_signature::make(1, 2, sizeof(gr_complex) * sync.size())),
      d_sync(std::move(sync)),
      d_data_symbols(n_data_symbols),
      d_frame_symbols(n_data_symbols + d_sync.count()),
      d_noise_var(noise_var)
{
    const bool ls = scheme->info().prior == "none";
    d_tag_error = extra_tags == "error";
    d_tag_noise = d_tag_error || extra_tags == "noise" || (extra_tags == "auto" && !ls);

    const std::size_t n = d_sync.size();
    if (!ls) {
        core::EstimatorOptions options;
        options.observed = d_sync.observed();
        options.item_size = n;
        options.max_batch = max_batch;
        options.steps = steps;
        options.seed = seed;
        d_estimator = std::make_unique<core::Estimator>(scheme, options);
        d_taps.resize(n * max_batch);
        d_tap_noise.resize(n * max_batch);
    }
    d_offset.resize(max_batch);
    d_noise.resize(max_batch);
    d_info.resize(max_batch);
    d_ls.resize(n * max_batch);
    d_error.resize(n * max_batch);

    message_port_register_out(d_keys.stats);
    set_output_multiple(d_data_symbols);
    set_relative_rate(d_data_symbols, d_frame_symbols);
    set_tag_propagation_policy(TPP_DONT);
}

void ofdm_chanest_vcvc_impl::set_steps(int steps)
{
    check_steps(steps);
    std::lock_guard<std::mutex> lock(d_mutex);
    if (d_estimator)
        d_estimator->set_steps(steps);
}

void ofdm_chanest_vcvc_impl::set_eta(float eta)
{
    check_eta(eta);
    std::lock_guard<std::mutex> lock(d_mutex);
    if (d_estimator)
        d_estimator->set_eta(eta);
}

void ofdm_chanest_vcvc_impl::set_seed(uint64_t seed)
{
    std::lock_guard<std::mutex> lock(d_mutex);
    if (d_estimator)
        d_estimator->set_seed(seed);
}

void ofdm_chanest_vcvc_impl::set_noise_var(float noise_var)
{
    check_noise_var(noise_var, true);
    if (noise_var == 0 && d_estimator && !d_sync.noise_error().empty())
        throw core::Error("noise_var is 0 (measure it), but " + d_sync.noise_error());
    std::lock_guard<std::mutex> lock(d_mutex);
    d_noise_var = noise_var;
}

void ofdm_chanest_vcvc_impl::forecast(int noutput_items, gr_vector_int& ninput_items_required)
{
    ninput_items_required[0] = noutput_items / d_data_symbols * d_frame_symbols;
}

// Fills d_offset, d_noise, d_ls, d_error, and d_taps and d_info unless the scheme is `ls`.
void ofdm_chanest_vcvc_impl::estimate(const gr_complex* in, int frames)
{
    const int n = d_sync.size();
    const auto& gain = d_sync.tap_noise_gain();
    const bool measure = d_estimator || d_tag_noise;
    const int stride = d_sync.equal_power() ? 1 : n;
    const float equal_gain = *std::max_element(gain.begin(), gain.end());

    for (int f = 0; f < frames; f++) {
        const gr_complex* frame = in + static_cast<std::size_t>(f) * d_frame_symbols * n;
        gr_complex* ls = &d_ls[static_cast<std::size_t>(f) * n];
        d_offset[f] = d_sync.search_offset(frame);
        d_sync.ls_taps(frame, d_offset[f], ls);
        if (!measure)
            continue;
        d_noise[f] = d_noise_var > 0 ? d_noise_var : d_sync.noise(frame, d_offset[f], ls);
        if (d_tag_error && !d_estimator)
            for (int k = 0; k < n; k++)
                d_error[static_cast<std::size_t>(f) * n + k] = d_noise[f] * gain[k];
        if (!d_estimator)
            continue;
        if (stride == 1)
            d_tap_noise[f] = d_noise[f] * equal_gain;
        else
            for (int k = 0; k < n; k++)
                d_tap_noise[static_cast<std::size_t>(f) * n + k] =
                    d_noise[f] * (gain[k] > 0 ? gain[k] : equal_gain);
    }
    if (d_estimator)
        d_estimator->run(d_ls.data(),
                         frames,
                         d_tap_noise.data(),
                         stride,
                         d_frames,
                         d_taps.data(),
                         d_tag_error ? d_error.data() : nullptr,
                         d_info.data());
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
    std::lock_guard<std::mutex> lock(d_mutex);
    const auto* in = static_cast<const gr_complex*>(input_items[0]);
    auto* out = static_cast<gr_complex*>(output_items[0]);
    const std::size_t n = d_sync.size();
    const int frames = std::min({noutput_items / d_data_symbols,
                                 ninput_items[0] / d_frame_symbols,
                                 static_cast<int>(max_batch)});
    if (frames < 1)
        return 0;
    estimate(in, frames);

    for (int f = 0; f < frames; f++) {
        const bool bypassed = d_estimator && d_info[f].bypassed;
        const gr_complex* taps = &(d_estimator && !bypassed ? d_taps : d_ls)[f * n];
        const uint64_t at = nitems_written(0) + static_cast<uint64_t>(f) * d_data_symbols;
        add_item_tag(0, at, d_keys.carr_offset, pmt::from_long(d_offset[f]));
        add_item_tag(0, at, d_keys.chan_taps, pmt::init_c32vector(n, taps));
        if (d_tag_noise)
            add_item_tag(0, at, d_keys.noise_var, pmt::from_double(d_noise[f]));
        if (d_tag_error)
            add_item_tag(0, at, d_keys.error_var, pmt::init_f32vector(n, &d_error[f * n]));
        if (bypassed) {
            add_item_tag(0, at, d_keys.bypassed, pmt::mp(d_info[f].reason));
            d_bypassed++;
            if (d_log_limit.due())
                d_logger->warn(
                    "frame {} could not be estimated ({}): least-squares taps passed on; "
                    "{} so far",
                    d_frames + f,
                    d_info[f].reason,
                    d_bypassed.load());
        }
        if (output_items.size() > 1)
            std::memcpy(
                static_cast<gr_complex*>(output_items[1]) + f * n, taps, n * sizeof(gr_complex));
        std::memcpy(out + static_cast<std::size_t>(f) * d_data_symbols * n,
                    in + (static_cast<std::size_t>(f) * d_frame_symbols + d_sync.count()) * n,
                    d_data_symbols * n * sizeof(gr_complex));
    }
    move_tags(frames);
    d_frames += frames;
    report();

    if (output_items.size() > 1)
        produce(1, frames);
    produce(0, frames * d_data_symbols);
    consume_each(frames * d_frame_symbols);
    return WORK_CALLED_PRODUCE;
}

void ofdm_chanest_vcvc_impl::report()
{
    if (!d_stats_limit.due())
        return;
    pmt::pmt_t stats = counters(d_frames, d_bypassed);
    stats = pmt::dict_add(stats, pmt::mp("noise_var"), pmt::from_double(d_noise[0]));
    stats = pmt::dict_add(stats, pmt::mp("steps"), pmt::from_long(d_info[0].steps));
    message_port_pub(d_keys.stats, stats);
}

} // namespace diffsem
} // namespace gr
