/*
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#include "frame_format.h"

#include <gnuradio/diffsem/frame_to_pdu.h>
#include <gnuradio/io_signature.h>

#include <algorithm>
#include <atomic>
#include <vector>

namespace gr {
namespace diffsem {

namespace {

class frame_to_pdu_impl : public frame_to_pdu
{
public:
    explicit frame_to_pdu_impl(const core::FrameLayout& layout)
        : gr::sync_block("frame_to_pdu",
                         gr::io_signature::make(1, 1, sizeof(gr_complex) * layout.fft_len()),
                         gr::io_signature::make(0, 0, 0)),
          d_noise(layout),
          d_len(layout.fft_len())
    {
        message_port_register_out(d_port);
        message_port_register_out(d_keys.stats);
    }

    uint64_t frames_in() const override { return d_in; }
    uint64_t frames_out() const override { return d_out; }
    uint64_t frames_dropped() const override { return d_dropped; }

    int
    work(int noutput_items, gr_vector_const_void_star& input_items, gr_vector_void_star&) override
    {
        const auto* in = static_cast<const gr_complex*>(input_items[0]);
        get_tags_in_window(d_tags, 0, 0, noutput_items);
        std::stable_sort(d_tags.begin(), d_tags.end(), tag_t::offset_compare);
        auto tag = d_tags.begin();
        for (int i = 0; i < noutput_items; i++) {
            pmt::pmt_t tags = pmt::PMT_NIL;
            for (; tag != d_tags.end() && tag->offset == nitems_read(0) + i; ++tag) {
                if (pmt::is_null(tags))
                    tags = pmt::make_dict();
                tags = pmt::dict_add(tags, tag->key, tag->value);
            }
            if (!pmt::is_null(tags) && pmt::dict_has_key(tags, d_frame_key))
                begin(tags);
            if (d_wanted == 0)
                continue; // what fills a short frame up, or has no header
            d_frame.insert(d_frame.end(), in + i * d_len, in + (i + 1) * d_len);
            if (d_frame.size() == d_wanted)
                finish();
        }
        report();
        return noutput_items;
    }

private:
    void begin(const pmt::pmt_t& tags)
    {
        d_in++;
        if (d_wanted) // the last one was cut short
            d_dropped++;
        d_wanted = 0;
        d_frame.clear();
        const auto& layout = d_noise.layout();
        const auto taps = pmt::dict_ref(tags, d_keys.chan_taps, pmt::PMT_NIL);
        const auto error = pmt::dict_ref(tags, d_keys.error_var, pmt::PMT_NIL);
        const auto noise = pmt::dict_ref(tags, d_keys.noise_var, pmt::PMT_NIL);
        std::string problem =
            header_from_dict(pmt::dict_ref(tags, d_frame_key, pmt::PMT_NIL), d_header);
        const std::size_t n = d_len;
        if (problem.empty() && (!pmt::is_c32vector(taps) || pmt::length(taps) != n))
            problem =
                "it has no tag ofdm_sync_chan_taps: let the equaliser propagate the channel state";
        double noise_var = 0;
        if (problem.empty() && (!pmt::is_f32vector(error) || pmt::length(error) != n ||
                                !real_number(noise, noise_var)))
            problem =
                "it has no noise and error variance: set extra_tags=\"error\" in ofdm_chanest_vcvc";
        d_payload = problem.empty() ? d_header.payload_symbols(layout.frame_symbols) : 0;
        if (problem.empty() && d_payload == 0)
            problem = "its index is beyond the last frame";
        if (!problem.empty()) {
            d_dropped++;
            if (d_log_limit.due())
                d_logger->warn(
                    "frame {} dropped: {}; {} so far", d_in.load(), problem, d_dropped.load());
            return;
        }
        d_taps = pmt::c32vector_elements(taps);
        d_error = pmt::f32vector_elements(error);
        d_noise_var = static_cast<float>(noise_var);
        const auto lost = pmt::dict_ref(tags, d_lost_key, pmt::PMT_NIL);
        d_lost.clear();
        if (pmt::is_f32vector(lost) &&
            pmt::length(lost) == static_cast<std::size_t>(layout.header_symbols() + d_payload))
            for (const float share : pmt::f32vector_elements(lost))
                d_lost.push_back(share >= 0 && share <= 1 ? share : 0.0f);
        d_offset = pmt::dict_ref(tags, pmt::mp("diffsem_carrier_offset"), pmt::from_double(0));
        d_start = pmt::dict_ref(tags, pmt::mp("diffsem_start"), pmt::from_uint64(0));
        d_wanted = static_cast<std::size_t>(layout.header_symbols() + d_payload) * d_len;
    }

    void finish()
    {
        d_wanted = 0;
        const auto payload = d_noise.read(d_frame.data(),
                                          d_payload,
                                          d_header,
                                          d_taps.data(),
                                          d_noise_var,
                                          d_error.data(),
                                          d_lost.empty() ? nullptr : d_lost.data());
        const auto& noise = payload.noise_var;
        pmt::pmt_t dict = header_dict(d_header);
        dict = pmt::dict_add(dict, pmt::mp("snr_db"), pmt::from_double(payload.snr_db));
        dict = pmt::dict_add(dict, pmt::mp("noise_var"), pmt::init_f32vector(noise.size(), noise));
        dict = pmt::dict_add(dict, pmt::mp("carrier_offset"), d_offset);
        dict = pmt::dict_add(dict, pmt::mp("clock_error"), pmt::from_double(d_noise.clock_error()));
        dict = pmt::dict_add(dict, pmt::mp("start"), d_start);
        message_port_pub(
            d_port, pmt::cons(dict, pmt::init_c32vector(payload.symbols.size(), payload.symbols)));
        d_out++;
    }

    void report()
    {
        if (!d_stats_limit.due())
            return;
        pmt::pmt_t stats = pmt::make_dict();
        stats = pmt::dict_add(stats, pmt::mp("block"), pmt::mp(alias()));
        stats = pmt::dict_add(stats, pmt::mp("in"), pmt::from_uint64(d_in));
        stats = pmt::dict_add(stats, pmt::mp("out"), pmt::from_uint64(d_out));
        stats = pmt::dict_add(stats, pmt::mp("dropped"), pmt::from_uint64(d_dropped));
        message_port_pub(d_keys.stats, stats);
    }

    const keys d_keys;
    const pmt::pmt_t d_port = pmt::mp("pdus"), d_frame_key = pmt::mp("diffsem_frame"),
                     d_lost_key = pmt::mp("diffsem_lost");
    core::FrameNoise d_noise;
    const int d_len;

    // the frame that comes in; nothing is wanted between frames
    std::size_t d_wanted = 0;
    std::vector<gr_complex> d_frame, d_taps;
    std::vector<float> d_error, d_lost;
    float d_noise_var = 0;
    core::FrameHeader d_header;
    int d_payload = 0;
    pmt::pmt_t d_offset, d_start;

    std::vector<tag_t> d_tags;
    std::atomic<uint64_t> d_in{0}, d_out{0}, d_dropped{0};
    rate_limit d_log_limit{5.0}, d_stats_limit{1.0};
};

} // namespace

frame_to_pdu::sptr frame_to_pdu::make(const frame_format& format)
{
    return gnuradio::make_block_sptr<frame_to_pdu_impl>(layout_of(format));
}

} // namespace diffsem
} // namespace gr
