/*
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#include "frame_sync_cvc_impl.h"

#include <gnuradio/io_signature.h>

#include <algorithm>
#include <string>

namespace gr {
namespace diffsem {

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
      d_len(layout.fft_len()),
      d_fft(d_len),
      d_probe(layout, correlator.max_offset(), dft()),
      d_finder(std::move(layout), std::move(correlator), dft())
{
    set_tag_propagation_policy(TPP_DONT); // samples are not vectors
    message_port_register_out(d_keys.stats);
}

core::FrameFinder::Dft frame_sync_cvc_impl::dft()
{
    return [this](const gr_complex* samples) {
        std::copy_n(samples, d_len, d_fft.get_inbuf());
        d_fft.execute();
        return d_fft.get_outbuf();
    };
}

void frame_sync_cvc_impl::hear_hint()
{
    if (d_probe.hint() == d_hint)
        return;
    std::lock_guard<std::mutex> lock(d_hint_mutex);
    d_hint = d_probe.hint();
    if (!d_hint.empty())
        d_logger->warn("no frames are found, but {}", d_hint);
}

bool frame_sync_cvc_impl::stop()
{
    if (!d_finder.out())
        d_probe.end();
    hear_hint();
    return block::stop();
}

std::string frame_sync_cvc_impl::hint() const
{
    std::lock_guard<std::mutex> lock(d_hint_mutex);
    return d_hint;
}

void frame_sync_cvc_impl::forecast(int, gr_vector_int& ninput_items_required)
{
    ninput_items_required[0] = d_left ? 0 : 1;
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
        produced += send(out, produced, noutput_items - produced);
        if (d_left)
            break; // no room: what is behind has to be read first
        if (d_finder.next())
            d_left = d_finder.frame().vectors.size();
        else if (taken || ninput_items[0] == 0)
            break;
        else
            taken = d_finder.take(in, ninput_items[0]);
    }
    d_found = d_finder.found();
    d_out = d_finder.out();
    d_recognised = d_finder.recognised();
    d_skipped = d_finder.skipped();
    if (taken)
        d_probe.take(in, taken, d_finder.out());
    hear_hint();
    report();
    consume_each(taken);
    return produced;
}

// As many vectors of the frame as there is room for, behind those of this call.
int frame_sync_cvc_impl::send(gr_complex* out, int produced, int room)
{
    if (!d_left || !room)
        return 0;
    const auto& vectors = d_finder.frame().vectors;
    if (d_left == vectors.size())
        tag_frame(nitems_written(0) + produced);
    const std::size_t n = std::min(static_cast<std::size_t>(room) * d_len, d_left);
    std::copy_n(vectors.end() - static_cast<std::ptrdiff_t>(d_left),
                n,
                out + std::size_t(produced) * d_len);
    d_left -= n;
    return static_cast<int>(n / d_len);
}

void frame_sync_cvc_impl::tag_frame(uint64_t at)
{
    const auto& frame = d_finder.frame();
    const auto add = [&](const char* key, const pmt::pmt_t& value) {
        add_item_tag(0, at, pmt::mp(key), value);
    };
    add("diffsem_frame", header_dict(frame.header));
    add("frame_len", pmt::from_long(header_symbols() + d_finder.layout().frame_symbols));
    add("diffsem_carrier_offset", pmt::from_double(frame.carrier_offset));
    add("diffsem_start", pmt::from_uint64(frame.start));
    add("diffsem_score", pmt::from_double(frame.score));
    if (!frame.lost.empty())
        add("diffsem_lost", pmt::init_f32vector(frame.lost.size(), frame.lost));
}

// What is taken out now, in words; "" for nothing.
std::string frame_sync_cvc_impl::interference() const
{
    const auto found = d_finder.interference();
    std::string words;
    const auto add = [&words](bool there, const char* word) {
        if (there)
            words += (words.empty() ? "" : ", ") + std::string(word);
    };
    add(found.dc, "DC");
    add(found.tone, "tone");
    add(found.neighbour, "neighbour");
    return words;
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
    add("in", d_finder.found());
    add("out", d_finder.out());
    add("dropped", d_finder.found() - d_finder.out());
    add("recognised", d_finder.recognised());
    add("blanked", d_finder.blanked());
    add("impulses", d_finder.impulses());
    add("skipped", d_finder.skipped());
    stats = pmt::dict_add(stats, pmt::mp("interference"), pmt::intern(interference()));
    stats = pmt::dict_add(stats, pmt::mp("hint"), pmt::intern(d_hint));
    message_port_pub(d_keys.stats, stats);
}

} // namespace diffsem
} // namespace gr
