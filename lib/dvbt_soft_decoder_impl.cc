/*
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#include "dvbt_words.h"
#include "ended.h"

#include <gnuradio/diffsem/core/link/dvbt_layout.h>
#include <gnuradio/diffsem/core/link/dvbt_soft_decoder.h>
#include <gnuradio/diffsem/dvbt_soft_decoder.h>
#include <gnuradio/io_signature.h>

#include <algorithm>
#include <atomic>
#include <vector>

namespace gr {
namespace diffsem {

class dvbt_soft_decoder_impl : public dvbt_soft_decoder
{
public:
    dvbt_soft_decoder_impl(int nsize, int bits, core::DvbtSoftDecoder::Rate rate)
        : gr::block("dvbt_soft_decoder",
                    gr::io_signature::make2(2,
                                            2,
                                            sizeof(gr_complex) * std::size_t(nsize),
                                            sizeof(float) * std::size_t(nsize)),
                    gr::io_signature::make(1, 1, 1)),
          d_cells(std::size_t(nsize)),
          d_decoder(d_cells, bits, rate)
    {
        message_port_register_out(d_keys.stats);
        set_tag_propagation_policy(TPP_DONT);
        set_relative_rate(d_decoder.octets_each());
    }

    uint64_t items_in() const override { return d_out + d_dropped; }
    uint64_t items_out() const override { return d_out; }
    uint64_t items_dropped() const override { return d_dropped; }

    bool start() override
    {
        d_begun = d_begins = false;
        d_index = 0;
        d_decoder.begin();
        return gr::block::start();
    }

    void forecast(int, gr_vector_int& ninput_items_required) override
    {
        const bool enough = d_decoder.available() || (d_decoder.waiting() && ended(*this));
        std::fill(ninput_items_required.begin(), ninput_items_required.end(), enough ? 0 : 1);
    }

    int general_work(int noutput_items,
                     gr_vector_int& ninput_items,
                     gr_vector_const_void_star& input_items,
                     gr_vector_void_star& output_items) override
    {
        const auto* payload = static_cast<const gr_complex*>(input_items[0]);
        const auto* noise = static_cast<const float*>(input_items[1]);
        auto* out = static_cast<std::uint8_t*>(output_items[0]);
        const int waiting = std::min(ninput_items[0], ninput_items[1]);
        const auto room = std::size_t(noutput_items);
        if (!waiting && ended(*this))
            d_decoder.end();
        std::size_t made = 0;
        pop(out, made, room);
        int taken = 0;
        while (taken < waiting && made < room) {
            const std::size_t at = std::size_t(taken) * d_cells;
            if (take(payload + at, noise + at, nitems_read(0) + uint64_t(taken)))
                taken++;
            pop(out, made, room);
        }
        consume_each(taken);
        if (d_stats_limit.due())
            message_port_pub(d_keys.stats, counters(d_out, d_dropped, 0));
        return int(made);
    }

private:
    void pop(std::uint8_t* out, std::size_t& made, std::size_t room)
    {
        const std::size_t n = std::min(room - made, d_decoder.available());
        d_decoder.pop(out + made, n);
        if (n && d_begins) {
            add_item_tag(0, nitems_written(0) + made, d_superframe_start, pmt::from_long(0xaa));
            d_begins = false;
        }
        made += n;
    }

    // False: what was decoded before it has to leave first.
    bool take(const gr_complex* payload, const float* noise, uint64_t offset)
    {
        get_tags_in_range(d_tags, 0, offset, offset + 1);
        bool begins = false;
        for (const auto& tag : d_tags)
            begins = begins || pmt::eqv(tag.key, d_superframe_start);
        if (begins)
            d_index = 0;
        for (const auto& tag : d_tags)
            if (pmt::eqv(tag.key, d_symbol_index) && pmt::is_integer(tag.value))
                d_index = int(pmt::to_long(tag.value) & 1);
        if (begins && d_decoder.waiting()) {
            d_decoder.end();
            return false;
        }
        if (begins) {
            d_decoder.restart();
            d_begun = d_begins = true;
        }
        if (d_begun)
            d_decoder.push(payload, noise, d_index);
        (d_begun ? d_out : d_dropped)++;
        d_index ^= 1;
        return true;
    }

    const keys d_keys;
    const pmt::pmt_t d_symbol_index = pmt::mp("symbol_index"),
                     d_superframe_start = pmt::mp("superframe_start");
    const std::size_t d_cells;
    core::DvbtSoftDecoder d_decoder;
    std::vector<tag_t> d_tags;
    bool d_begun = false;  // a superframe has
    bool d_begins = false; // the next octet is the first of one
    int d_index = 0;       // of the next symbol: even or odd
    std::atomic<uint64_t> d_out{0}, d_dropped{0};
    rate_limit d_stats_limit{1.0};
};

dvbt_soft_decoder::sptr dvbt_soft_decoder::make(int nsize,
                                                int constellation,
                                                int hierarchy,
                                                int code_rate,
                                                int transmission_mode)
{
    check_constellation(constellation);
    check_hierarchy(hierarchy);
    if (hierarchy)
        throw core::Error(std::string("hierarchy is ") + dvbt_hierarchy_names[hierarchy] +
                          ": soft decisions are for NH; take gr-dtv's own blocks behind the "
                          "demodulator for hierarchical modes");
    check_transmission_mode(transmission_mode);
    check_payload("nsize", nsize, transmission_mode);
    const int rate = dvbt_code_rate("code_rate", code_rate);
    return gnuradio::make_block_sptr<dvbt_soft_decoder_impl>(
        nsize, 2 * (constellation + 1), core::DvbtSoftDecoder::Rate(rate));
}

} // namespace diffsem
} // namespace gr
