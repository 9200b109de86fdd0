/*
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#include "ofdm_grid_chanest_impl.h"

#include "ended.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>

namespace gr {
namespace diffsem {

namespace {

constexpr float least_noise = 1e-9f; // of the pilots' power, where none is seen
constexpr float unknown = std::numeric_limits<float>::infinity();

// Symbols of a frame, if that is what a tag says; else 0.
uint64_t length_in(const pmt::pmt_t& value)
{
    if (pmt::is_uint64(value))
        return pmt::to_uint64(value);
    return pmt::is_integer(value) ? static_cast<uint64_t>(std::max(pmt::to_long(value), 0L)) : 0;
}

} // namespace

void ofdm_grid_chanest_impl::forecast(int, gr_vector_int& ninput_items_required)
{
    // One symbol is worth a call: it is kept here, so that no buffer has to hold a window. What waits inside when nothing
    // more comes needs none.
    ninput_items_required[0] = d_window.pending() && (d_flush || ended(*this)) ? 0 : 1;
}

// Symbols that are answered now, by the window as it is.
std::size_t ofdm_grid_chanest_impl::due() const
{
    return d_flush ? d_window.pending() : d_window.due() ? d_window.hop() : 0;
}

int ofdm_grid_chanest_impl::general_work(int noutput_items,
                                         gr_vector_int& ninput_items,
                                         gr_vector_const_void_star& input_items,
                                         gr_vector_void_star& output_items)
{
    std::lock_guard<std::mutex> lock(d_live.mutex());
    d_live.exchange();
    const auto* in = static_cast<const gr_complex*>(input_items[0]);
    int waiting = ninput_items[0];
    if (waiting)
        d_ledger.notice(d_first, d_window.pending() + waiting, waiting);
    else if (ended(*this))
        d_flush = true;
    const int taken = take(in, waiting);
    consume_each(taken);
    waiting -= taken;
    in += static_cast<std::size_t>(taken) * d_grid->pilots.fft_len();
    const std::size_t count = due();
    if (!count) {
        d_flush = false;
        return 0;
    }
    const std::size_t windows = d.run ? d_grid->windows() : 1;
    const auto verdict = d_ledger.decide(
        d_first, d_window.pending() + waiting, d_grid->most() + (windows - 1) * d_window.hop());
    const bool dropped = verdict.evaluations == 0 && d_ledger.drops();
    if (dropped) {
        d_ledger.dropped(count);
        next(count);
    } else {
        const std::size_t most =
            std::min({windows, verdict.items / d_window.hop(), noutput_items / d_grid->most()});
        const uint64_t first = d_first;
        d_info.clear();
        collect(in, waiting, most, static_cast<gr_complex*>(output_items[0]));
        infer(d_ledger.limit(verdict));
        d_ledger.left(first, d_info.data(), d_info.size());
        put_out(output_items);
        tag_symbols(first, output_items.size());
    }
    d_ledger.report(d_last_noise);
    return dropped ? 0 : static_cast<int>(d_info.size());
}

// Keeps the window that is due, and those that are due behind it with what waits, as long as their noise was measured alike.
void ofdm_grid_chanest_impl::collect(const gr_complex* in,
                                     int waiting,
                                     std::size_t most,
                                     gr_complex* symbols)
{
    d_slots.clear();
    do {
        const std::size_t count = due();
        if (!keep(count, symbols + d_info.size() * d_grid->pilots.fft_len()))
            break;
        next(count);
        if (d_slots.size() >= most)
            break;
        const int taken = take(in, waiting);
        consume_each(taken);
        waiting -= taken;
        in += static_cast<std::size_t>(taken) * d_grid->pilots.fft_len();
    } while (due());
    if (!due())
        d_flush = false;
}

// The window has answered so many.
void ofdm_grid_chanest_impl::next(std::size_t count)
{
    d_first += count;
    d_window.give(count);
    d_flush = false;
    if (d_frame_known && !d_frame_left && !d_window.pending())
        d_window.restart();
}

// Symbols into the window, until some are due. Returns how many.
int ofdm_grid_chanest_impl::take(const gr_complex* in, int items)
{
    get_tags_in_range(d_seen, 0, nitems_read(0), nitems_read(0) + static_cast<uint64_t>(items));
    auto tag = d_seen.begin();
    int taken = 0;
    for (; taken < items && !d_flush && !d_window.due(); taken++) {
        const auto here = [&](auto t) {
            return t != d_seen.end() && t->offset == nitems_read(0) + static_cast<uint64_t>(taken);
        };
        for (auto t = tag; here(t); ++t)
            if (!obey(*t))
                return taken; // once what is pending has left
        for (; here(tag); ++tag) {
            tag->offset = d_first + d_window.pending();
            d_tags.push_back(*tag);
        }
        d_window.push(in + static_cast<std::size_t>(taken) * d_grid->pilots.fft_len(), d_phase);
        d_phase = (d_phase + 1) % d_grid->pilots.period();
        if (d_frame_known && d_frame_left && --d_frame_left == 0)
            d_flush = true;
    }
    return taken;
}

// What a tag on the next symbol asks for; false: not before all that is pending has been answered.
bool ofdm_grid_chanest_impl::obey(const tag_t& tag)
{
    if (d_framed && pmt::eqv(tag.key, d_frame_key)) {
        const uint64_t length = length_in(tag.value);
        const bool lost = d_frame_known && length ? d_frame_left > 0 : d_phase > 0;
        if ((length || lost) && !begin_anew(lost, "a frame begins where none is due"))
            return false;
        d_phase = 0;
        d_frame_known = length > 0;
        d_frame_left = length;
        return true;
    }
    if (pmt::eqv(tag.key, d_rx_time) && !d_window.empty())
        return begin_anew(true, "there is a gap in time (rx_time)");
    if (pmt::eqv(tag.key, d_keys.reset) && asks_reset(tag.value))
        return begin_anew(false, "");
    return true;
}

// Another window; false, and all as it was, where something is pending.
bool ofdm_grid_chanest_impl::begin_anew(bool lost, const char* reason)
{
    if (d_window.pending()) {
        d_flush = true;
        return false;
    }
    if (lost && !d_window.empty()) {
        d_restarts++;
        if (d_restart_limit.due()) {
            d_logger->warn("symbols were lost, {}: the window begins anew; {} so far",
                           reason,
                           d_restarts.load());
            d_ledger.event("restarted", "", reason);
        }
    }
    d_window.restart();
    return true;
}

// What the window measured, to be answered; false, and nothing done, where it cannot be answered with those before it.
bool ofdm_grid_chanest_impl::keep(std::size_t count, gr_complex* symbols)
{
    const double before = d_freedom;
    const float noise_var = d_noise_var > 0 ? d_noise_var : window_noise();
    if (!d_slots.empty() && d_freedom != before) {
        d_freedom = before;
        return false;
    }
    const std::size_t size = d_grid->size(), begin = d_slots.size() * size;
    const float* gain = d_window.noise_gain();
    std::copy_n(d_window.taps(), size, &d_measured[begin]);
    std::copy_n(gain, size, &d_gain[begin]);
    for (std::size_t k = 0; k < size; k++)
        d_tap_noise[begin + k] = gain[k] == unknown ? unknown : noise_var * gain[k];
    d_slots.push_back({d_window.at(), count, noise_var});
    d_last_noise = noise_var;
    const std::size_t n = d_grid->pilots.fft_len();
    for (std::size_t i = 0; i < count; i++) {
        const std::size_t row = d_window.at() + i;
        std::copy_n(d_window.symbol(row), n, symbols + i * n);
        core::ItemInfo info;
        info.noise_var = noise_var;
        info.bypassed = !d_window.finite(row);
        info.reason = info.bypassed ? "nan" : "";
        d_info.push_back(info);
    }
    return true;
}

// Fills d_taps, d_error and the rest of d_info.
void ofdm_grid_chanest_impl::infer(const core::RunLimit& limit)
{
    const std::size_t size = d_grid->size();
    if (!d.run) {
        for (std::size_t s = 0; s < d_slots.size(); s++)
            interpolate(s, &d_taps[s * size]);
        std::copy_n(d_tap_noise.begin(), d_slots.size() * size, d_error.begin());
        return;
    }
    auto& tiles = d.run->tiles();
    tiles.estimator().set_noise_freedom(d_noise_var > 0 ? 0 : static_cast<float>(d_freedom));
    tiles.run(d_measured.data(),
              d_slots.size(),
              d_tap_noise.data(),
              size,
              d_taps.data(),
              d_error.data(),
              d_done.data(),
              limit);
    auto* item = d_info.data();
    for (std::size_t s = 0; s < d_slots.size(); s++) {
        const auto& done = d_done[s];
        if (done.bypassed) { // where no tile has an answer
            interpolate(s, d_lines.data());
            for (std::size_t k = 0; k < size; k++)
                if (d_taps[s * size + k] == gr_complex(0))
                    d_taps[s * size + k] = d_lines[k];
        }
        auto info = done.item();
        if (done.unmeasured == done.tiles)
            info.reason = "no pilots";
        info.noise_var = d_slots[s].noise_var;
        for (std::size_t i = 0; i < d_slots[s].count; i++, item++) {
            const bool bad = item->bypassed;
            *item = info;
            if (bad) {
                item->bypassed = true;
                item->reason = "nan";
            }
        }
    }
}

void ofdm_grid_chanest_impl::interpolate(std::size_t slot, gr_complex* taps) const
{
    const std::size_t begin = slot * d_grid->size();
    d_grid->pilots.interpolate(&d_measured[begin], &d_gain[begin], d_window.rows(), taps);
}

// A window that shows none keeps the last one's; NaN: there was none yet.
float ofdm_grid_chanest_impl::window_noise()
{
    const auto seen = d_window.noise();
    if (seen.count > 0) {
        d_noise = static_cast<float>(seen.mean());
        d_freedom = seen.count;
        if (!(d_noise > 0))
            d_noise = least_noise * d_window.pilot_power();
    }
    return d_noise < 0 ? std::numeric_limits<float>::quiet_NaN() : d_noise;
}

void ofdm_grid_chanest_impl::put_out(gr_vector_void_star& output_items)
{
    const std::size_t n = d_grid->pilots.fft_len(), columns = d_grid->pilots.columns(),
                      first = d_grid->pilots.first();
    auto* taps = static_cast<gr_complex*>(output_items[1]);
    auto* error = output_items.size() > 2 ? static_cast<float*>(output_items[2]) : nullptr;
    std::fill_n(taps, d_info.size() * n, gr_complex(0));
    if (error)
        std::fill_n(error, d_info.size() * n, unknown);
    for (std::size_t s = 0; s < d_slots.size(); s++)
        for (std::size_t i = 0; i < d_slots[s].count; i++, taps += n) {
            const std::size_t begin = s * d_grid->size() + (d_slots[s].at + i) * columns;
            std::copy_n(&d_taps[begin], columns, taps + first);
            if (!error)
                continue;
            for (std::size_t c = 0; c < columns; c++)
                error[first + c] = std::isnan(d_error[begin + c]) ? unknown : d_error[begin + c];
            error += n;
        }
}

// first: index of the first of d_info.
void ofdm_grid_chanest_impl::tag_symbols(uint64_t first, std::size_t ports)
{
    const std::size_t count = d_info.size();
    const uint64_t written = nitems_written(0);
    const auto add = [&](uint64_t offset, const pmt::pmt_t& key, const pmt::pmt_t& value) {
        for (std::size_t port = 0; port < ports; port++)
            add_item_tag(static_cast<unsigned>(port), offset, key, value);
    };
    // Those of dropped symbols move to the next one.
    auto tag = d_tags.begin();
    for (; tag != d_tags.end() && tag->offset < first + count; ++tag)
        add(written + (std::max(tag->offset, first) - first), tag->key, tag->value);
    d_tags.erase(d_tags.begin(), tag);
    if (const uint64_t gap = d_ledger.take_gap())
        add(written, d_keys.dropped, pmt::from_uint64(gap));
    for (std::size_t i = 0; i < count; i++) {
        const auto here = [&](const auto& key, const auto& value) { add(written + i, key, value); };
        if (d_tag_items)
            d_live.tag_item(d_info[i], first + i, here);
        else
            d_live.tag_bypass(d_info[i], here);
    }
}

} // namespace diffsem
} // namespace gr
