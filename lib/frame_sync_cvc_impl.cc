/*
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#include "frame_sync_cvc_impl.h"

#include <gnuradio/io_signature.h>

#include <algorithm>
#include <cstring>

namespace gr {
namespace diffsem {

namespace {
constexpr int read_limit = 8192;       // samples taken at once
constexpr float largest_power = 1e30f; // of a sample; its square is still a number
constexpr int look_symbols = 6; // whose pilots refine the offset before the header is decoded
constexpr double other_pictures = 0.02;
constexpr double pi = 3.14159265358979323846;
} // namespace

frame_sync_cvc::sptr
frame_sync_cvc::make(const frame_format& format, float max_offset, double false_alarm)
{
    auto layout = layout_of(format);
    core::PreambleCorrelator correlator(
        layout.word1, layout.word2, layout.cp_len, max_offset, false_alarm);
    return gnuradio::make_block_sptr<frame_sync_cvc_impl>(std::move(layout), std::move(correlator));
}

frame_sync_cvc_impl::frame_sync_cvc_impl(core::FrameLayout layout,
                                         core::PreambleCorrelator correlator)
    : gr::block("frame_sync_cvc",
                gr::io_signature::make(1, 1, sizeof(gr_complex)),
                gr::io_signature::make(1, 1, sizeof(gr_complex) * layout.fft_len())),
      d_front(std::move(layout)),
      d_correlator(std::move(correlator)),
      d_tracker(d_front.layout().frame_symbols),
      d_fft(d_front.layout().fft_len()),
      d_len(d_front.layout().fft_len()),
      d_symbol(d_len + d_front.layout().cp_len),
      d_hold(d_symbol),
      d_look(std::max(look_symbols, d_front.layout().header_symbols())),
      d_lead(static_cast<std::size_t>(d_front.layout().cp_len)),
      d_samples(d_lead)
{
    set_tag_propagation_policy(TPP_DONT); // samples are not vectors
    message_port_register_out(d_keys.stats);
}

void frame_sync_cvc_impl::forecast(int, gr_vector_int& ninput_items_required)
{
    ninput_items_required[0] = d_sent < d_vectors.size() ? 0 : 1;
}

// Symbol 0 and 1 are the sync words. The coarse offset is turned back before the FFT.
void frame_sync_cvc_impl::spectrum(int symbol, gr_complex* out)
{
    const std::size_t first =
        d_start + static_cast<std::size_t>(symbol) * d_symbol + d_symbol - d_len;
    const double turn = -2 * pi * d_offset / d_len;
    const double begin = turn * static_cast<double>(first - d_start);
    for (int i = 0; i < d_len; i++)
        d_fft.get_inbuf()[i] = d_samples[first + i] * gr_complex(std::polar(1.0, begin + turn * i));
    d_fft.execute();
    const float scale = 1 / std::sqrt(static_cast<float>(d_len));
    for (int k = 0; k < d_len; k++)
        out[k] = scale * d_fft.get_outbuf()[(k + d_len / 2) % d_len];
}

void frame_sync_cvc_impl::score()
{
    const std::size_t done = d_score.size(), reach = d_correlator.reach();
    if (d_samples.size() < done + reach)
        return;
    const std::size_t n = d_samples.size() - done - reach + 1;
    d_score.resize(done + n);
    d_grid.resize(done + n);
    d_correlator.scores(&d_samples[done], static_cast<int>(n), &d_score[done], &d_grid[done]);
}

bool frame_sync_cvc_impl::search()
{
    const float threshold = d_correlator.threshold();
    while (d_position < d_score.size() && d_score[d_position] < threshold)
        d_position++;
    // The best score of a symbol's length, unless it lies at the end: then a better one may follow.
    const std::size_t end = d_position + d_hold, edge = end - d_front.layout().cp_len;
    if (d_score.size() < end)
        return false;
    const auto first = d_score.begin() + static_cast<std::ptrdiff_t>(d_position);
    d_start = static_cast<std::size_t>(std::max_element(first, first + d_hold) - d_score.begin());
    if (d_start >= edge) {
        d_position = d_start;
        return true;
    }
    d_next = d_start + d_front.layout().cp_len;
    d_offset = d_correlator.refine(&d_samples[d_start], d_grid[d_start]);
    d_state = state::header;
    d_found++;
    return true;
}

bool frame_sync_cvc_impl::read_header()
{
    if (d_samples.size() < d_start + static_cast<std::size_t>(2 + d_look) * d_symbol)
        return false;
    std::vector<gr_complex> symbols(static_cast<std::size_t>(2 + d_look) * d_len);
    for (int s = 0; s < 2 + d_look; s++)
        spectrum(s, &symbols[static_cast<std::size_t>(s) * d_len]);
    d_front.sync(&symbols[0], &symbols[d_len]);
    d_step = d_front.residual(&symbols[2 * d_len], d_look);
    core::HeaderSoftBits soft;
    d_front.soft_bits(&symbols[2 * d_len], d_step, soft);
    bool expected = false;
    // Peaks of noise as high as this that come in the time of a frame, or since the last one: the longer none
    // came, the rarer they are; and other pictures.
    const double span = std::max<double>(d_symbol * d_front.layout().frame_symbols,
                                         double(d_base + d_start) - double(d_heard));
    const double odds = other_pictures + d_correlator.false_alarm(d_score[d_start]) * span;
    if (!d_tracker.decode(soft, d_header, expected, odds / (1 + odds))) {
        d_position = d_next;
        d_state = state::search;
        return true;
    }
    d_recognised += expected;
    d_payload = d_header.payload_symbols(d_front.layout().frame_symbols);
    d_state = state::frame;
    return true;
}

bool frame_sync_cvc_impl::read_frame()
{
    const int headers = header_symbols(), full = headers + d_front.layout().frame_symbols;
    const std::size_t end = d_start + static_cast<std::size_t>(2 + headers + d_payload) * d_symbol;
    if (d_samples.size() < end)
        return false;
    d_vectors.assign(static_cast<std::size_t>(1 + full) * d_len, 0);
    std::copy(d_front.combined().begin(), d_front.combined().end(), d_vectors.begin());
    for (int s = 0; s < headers + d_payload; s++) {
        gr_complex* out = &d_vectors[static_cast<std::size_t>(1 + s) * d_len];
        spectrum(2 + s, out);
        const gr_complex turn = core::FrameFront::turn_back(d_step, s);
        for (int k = 0; k < d_len; k++)
            out[k] *= turn;
    }
    d_sent = 0;
    d_tags.clear();
    const auto add = [&](const char* key, const pmt::pmt_t& value) {
        tag_t tag;
        tag.key = pmt::mp(key);
        tag.value = value;
        d_tags.push_back(tag);
    };
    add("diffsem_frame", header_dict(d_header));
    add("frame_len", pmt::from_long(full));
    add("diffsem_carrier_offset",
        pmt::from_double(d_offset + d_step * d_len / (2 * pi * d_symbol)));
    add("diffsem_start", pmt::from_uint64(std::max<uint64_t>(d_base + d_start, d_lead) - d_lead));
    add("diffsem_score", pmt::from_double(d_score[d_start] / d_correlator.threshold()));
    d_out++;
    d_heard = d_base + end;
    // the next frame may follow at once, and begin a little early
    d_position = end - d_front.layout().cp_len;
    d_state = state::search;
    return true;
}

void frame_sync_cvc_impl::forget()
{
    const std::size_t keep =
        d_state == state::search ? std::min(d_position, d_score.size()) : d_start;
    if (keep < read_limit)
        return;
    d_samples.erase(d_samples.begin(), d_samples.begin() + static_cast<std::ptrdiff_t>(keep));
    d_score.erase(d_score.begin(), d_score.begin() + static_cast<std::ptrdiff_t>(keep));
    d_grid.erase(d_grid.begin(), d_grid.begin() + static_cast<std::ptrdiff_t>(keep));
    d_base += keep;
    d_position -= std::min(d_position, keep);
    d_start -= std::min(d_start, keep);
    d_next -= std::min(d_next, keep);
}

int frame_sync_cvc_impl::general_work(int noutput_items,
                                      gr_vector_int& ninput_items,
                                      gr_vector_const_void_star& input_items,
                                      gr_vector_void_star& output_items)
{
    const auto* in = static_cast<const gr_complex*>(input_items[0]);
    auto* out = static_cast<gr_complex*>(output_items[0]);
    int taken = 0, produced = 0;
    for (;;) {
        if (d_sent < d_vectors.size()) {
            if (d_sent == 0)
                for (auto& tag : d_tags) {
                    tag.offset = nitems_written(0) + produced;
                    add_item_tag(0, tag);
                }
            const std::size_t room = static_cast<std::size_t>(noutput_items - produced) * d_len;
            const std::size_t n = std::min(room, d_vectors.size() - d_sent);
            std::copy_n(&d_vectors[d_sent], n, out + static_cast<std::size_t>(produced) * d_len);
            d_sent += n;
            produced += static_cast<int>(n / d_len);
            if (d_sent < d_vectors.size())
                break; // no room: what is behind has to be read first
        }
        const bool moved = d_state == state::search   ? search()
                           : d_state == state::header ? read_header()
                                                      : read_frame();
        if (moved)
            continue;
        if (taken || ninput_items[0] == 0)
            break;
        forget();
        taken = std::min(ninput_items[0], read_limit);
        for (int i = 0; i < taken; i++) {
            const bool sane = std::norm(in[i]) < largest_power; // NaN is not
            d_samples.push_back(sane ? in[i] : gr_complex(0, 0));
            d_blanked += !sane;
        }
        score();
    }
    report();
    consume_each(taken);
    return produced;
}

void frame_sync_cvc_impl::report()
{
    if (!d_stats_limit.due())
        return;
    pmt::pmt_t stats = pmt::make_dict();
    stats = pmt::dict_add(stats, pmt::mp("block"), pmt::mp(alias()));
    const auto add = [&](const char* key, uint64_t value) {
        stats = pmt::dict_add(stats, pmt::mp(key), pmt::from_uint64(value));
    };
    add("in", d_found);
    add("out", d_out);
    add("dropped", d_found - d_out);
    add("recognised", d_recognised);
    add("blanked", d_blanked);
    message_port_pub(d_keys.stats, stats);
}

} // namespace diffsem
} // namespace gr
