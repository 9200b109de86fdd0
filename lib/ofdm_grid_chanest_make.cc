/*
 * SPDX-License-Identifier: GPL-3.0-or-later
 *
 * What ofdm_grid_chanest is told, checked and turned into what its work() needs.
 */
#include "ofdm_grid_chanest_impl.h"

#include <gnuradio/io_signature.h>

#include <algorithm>
#include <utility>

namespace gr {
namespace diffsem {

namespace {

constexpr inference_ledger::offers every_policy{};
constexpr std::size_t tiles_at_once = 32;
// Windows of narrow grids, of few tiles, are answered together where several wait; this many columns of all at most.
constexpr std::size_t windows_at_once = 8, columns_at_once = 1024;

scheme_settings settings_of(const ofdm_grid_chanest_options& options)
{
    return {options.steps, options.eta, options.seed};
}

} // namespace

ofdm_grid_chanest_impl::grid::grid(int fft_len,
                                   const std::vector<int>& occupied,
                                   const pilot_pattern& pattern,
                                   const ofdm_grid_chanest_options& o)
    : pilots(fft_len, occupied, pattern, o.null_carriers, o.delay_window),
      window(pilots, o.window, o.latency, !o.frame_tag.empty())
{
}

std::size_t ofdm_grid_chanest_impl::grid::windows() const
{
    return std::clamp<std::size_t>(columns_at_once / pilots.columns(), 1, windows_at_once);
}

ofdm_grid_chanest::sptr ofdm_grid_chanest::make(int fft_len,
                                                const std::vector<int>& occupied_carriers,
                                                const pilot_pattern& pilots,
                                                const ofdm_grid_chanest_options& options)
{
    check_noise_var(options.noise_var, true);
    settings_of(options).check();
    inference_ledger::check(options.live, every_policy);
    auto made =
        std::make_unique<ofdm_grid_chanest_impl::grid>(fft_len, occupied_carriers, pilots, options);
    auto plan =
        ofdm_grid_chanest_impl::prepare(options.scheme ? options.scheme : scheme::make("ofdm_grid"),
                                        *made,
                                        settings_of(options),
                                        options.noise_var);
    return gnuradio::make_block_sptr<ofdm_grid_chanest_impl>(
        std::move(plan), std::move(made), options);
}

ofdm_grid_chanest_impl::plan ofdm_grid_chanest_impl::prepare(diffsem::scheme::sptr handle,
                                                             const grid& made,
                                                             const scheme_settings& set,
                                                             float noise_var)
{
    plan p(std::move(handle));
    const auto& info = p.scheme->info();
    if (!p.scheme->parts().prior && info.unknowns.empty())
        return p;
    if (!info.complex_domain || info.shape.size() != 2)
        throw core::Error("scheme '" + info.spec + "' is made for " +
                          (info.complex_domain ? "" : "real data of ") + shape_text(info) +
                          " elements; a grid takes tiles of symbols x carriers: use 'ofdm_grid', "
                          "or 'ls' for lines between the pilots");
    if (noise_var == 0 && !made.pilots.noise_error().empty())
        throw core::Error("noise_var is 0 (measure it), but " + made.pilots.noise_error());
    core::EstimatorOptions options;
    options.max_batch = tiles_at_once;
    options.steps = set.steps;
    options.eta = set.eta;
    options.seed = set.seed;
    options.unseeded_stream = next_noise_stream();
    options.residual = false;
    p.run = std::make_unique<grid_run>(
        p.scheme, made.window.rows(), made.pilots.columns(), made.window.hop(), options);
    return p;
}

ofdm_grid_chanest_impl::ofdm_grid_chanest_impl(plan p,
                                               std::unique_ptr<grid> made,
                                               const ofdm_grid_chanest_options& options)
    : gr::block("ofdm_grid_chanest",
                gr::io_signature::make(1, 1, sizeof(gr_complex) * made->pilots.fft_len()),
                gr::io_signature::make3(2,
                                        3,
                                        sizeof(gr_complex) * made->pilots.fft_len(),
                                        sizeof(gr_complex) * made->pilots.fft_len(),
                                        sizeof(float) * made->pilots.fft_len())),
      d_frame_key(pmt::mp(options.frame_tag)),
      d_framed(!options.frame_tag.empty()),
      d_grid(std::move(made)),
      d_window(d_grid->window),
      d_noise_var(options.noise_var),
      d_tag_items(options.tag_items),
      d_measured(d_grid->windows() * d_grid->size()),
      d_taps(d_measured.size()),
      d_lines(d_grid->size()),
      d_gain(d_measured.size()),
      d_tap_noise(d_measured.size()),
      d_error(d_measured.size()),
      d_done(d_grid->windows()),
      d_live(*this,
             d_logger,
             std::move(p),
             settings_of(options),
             options.live,
             every_policy,
             [this](auto handle, const auto& set) {
                 return prepare(handle, *d_grid, set, current_noise_var());
             }),
      d(d_live.plan()),
      d_ledger(d_live.ledger())
{
    d_slots.reserve(d_grid->windows());
    d_info.reserve(d_grid->windows() * d_grid->most());
    set_output_multiple(static_cast<int>(d_grid->most())); // room for all answers of a window
    set_tag_propagation_policy(TPP_DONT);                  // symbols wait inside
}

float ofdm_grid_chanest_impl::current_noise_var()
{
    std::lock_guard<std::mutex> lock(d_live.mutex());
    return d_noise_var;
}

void ofdm_grid_chanest_impl::set_noise_var(float noise_var)
{
    check_noise_var(noise_var, true);
    std::lock_guard<std::mutex> lock(d_live.mutex());
    if (noise_var == 0 && d.run && !d_grid->pilots.noise_error().empty())
        throw core::Error("noise_var is 0 (measure it), but " + d_grid->pilots.noise_error());
    d_noise_var = noise_var;
}

void ofdm_grid_chanest_impl::set_tag_items(bool tag_items)
{
    std::lock_guard<std::mutex> lock(d_live.mutex());
    d_tag_items = tag_items;
}

} // namespace diffsem
} // namespace gr
