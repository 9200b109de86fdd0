/*
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#include "frame_format.h"

#include <gnuradio/diffsem/frame_mapper.h>
#include <gnuradio/io_signature.h>

#include <algorithm>
#include <atomic>

namespace gr {
namespace diffsem {

namespace {

class frame_mapper_impl : public frame_mapper
{
public:
    frame_mapper_impl(int carriers, int frame_symbols)
        : gr::block("frame_mapper",
                    gr::io_signature::make(0, 0, 0),
                    gr::io_signature::make(0, 0, 0)),
          d_carriers(carriers),
          d_frame_symbols(frame_symbols)
    {
        message_port_register_in(pmt::mp("frames"));
        message_port_register_out(d_port);
        message_port_register_out(d_keys.stats);
        set_msg_handler(pmt::mp("frames"), [this](const pmt::pmt_t& msg) { handle(msg); });
    }

    uint64_t frames_in() const override { return d_in; }
    uint64_t frames_out() const override { return d_out; }
    uint64_t frames_dropped() const override { return d_dropped; }

private:
    void handle(const pmt::pmt_t& msg)
    {
        d_in++;
        core::FrameHeader header;
        const std::string problem = check(msg, header);
        if (problem.empty()) {
            const auto sent = d_code.modulate(header);
            std::size_t n = 0;
            const gr_complex* payload = pmt::c32vector_elements(pmt::cdr(msg), n);
            const std::size_t header_room =
                (sent.size() + d_carriers - 1) / d_carriers * d_carriers;
            std::vector<gr_complex> symbols(header_room, 0);
            std::copy(sent.begin(), sent.end(), symbols.begin());
            symbols.insert(symbols.end(), payload, payload + n);
            message_port_pub(
                d_port, pmt::cons(pmt::make_dict(), pmt::init_c32vector(symbols.size(), symbols)));
            d_out++;
        } else {
            d_dropped++;
            if (d_log_limit.due())
                d_logger->warn("frame dropped: {}; {} so far", problem, d_dropped.load());
        }
        if (problem.empty() && !d_stats_limit.due())
            return;
        pmt::pmt_t stats = pmt::make_dict();
        stats = pmt::dict_add(stats, pmt::mp("block"), pmt::mp(alias()));
        stats = pmt::dict_add(stats, pmt::mp("in"), pmt::from_uint64(d_in));
        stats = pmt::dict_add(stats, pmt::mp("out"), pmt::from_uint64(d_out));
        stats = pmt::dict_add(stats, pmt::mp("dropped"), pmt::from_uint64(d_dropped));
        message_port_pub(d_keys.stats, stats);
    }

    std::string check(const pmt::pmt_t& msg, core::FrameHeader& header) const
    {
        if (!pmt::is_pair(msg) || !pmt::is_dict(pmt::car(msg)) || !pmt::is_c32vector(pmt::cdr(msg)))
            return "the message is no pair of a dictionary and a c32vector";
        auto problem = header_from_dict(pmt::car(msg), header);
        if (!problem.empty())
            return problem;
        try {
            d_code.modulate(header);
        } catch (const core::Error& e) {
            return e.what();
        }
        std::size_t n = 0;
        const gr_complex* symbols = pmt::c32vector_elements(pmt::cdr(msg), n);
        const std::size_t wanted =
            static_cast<std::size_t>(header.payload_symbols(d_frame_symbols)) * d_carriers;
        if (wanted == 0)
            return "its index is beyond the last frame";
        if (n != wanted)
            return "it has " + text(n) + " symbols, its header says " + text(wanted);
        if (!std::all_of(symbols, symbols + n, [](gr_complex v) {
                return std::isfinite(v.real()) && std::isfinite(v.imag());
            }))
            return "a symbol is not finite";
        return "";
    }

    const keys d_keys;
    const pmt::pmt_t d_port = pmt::mp("pdus");
    const core::HeaderCode d_code;
    const int d_carriers, d_frame_symbols;
    std::atomic<uint64_t> d_in{0}, d_out{0}, d_dropped{0};
    rate_limit d_log_limit{5.0}, d_stats_limit{1.0};
};

} // namespace

frame_mapper::sptr frame_mapper::make(int carriers, int frame_symbols)
{
    if (carriers < 1 || carriers > 65536)
        throw core::Error("carriers is " + text(carriers) + ": give the data carriers of a symbol");
    if (frame_symbols < 1 || frame_symbols > 1000)
        throw core::Error("frame_symbols is " + text(frame_symbols) + ": give 1 to 1000");
    return gnuradio::make_block_sptr<frame_mapper_impl>(carriers, frame_symbols);
}

} // namespace diffsem
} // namespace gr
