/*
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#include "block_helpers.h"
#include "dvbt_tiled_channel.h"
#include "dvbt_words.h"
#include "ended.h"

#include <gnuradio/diffsem/core/link/dvbt_demodulator.h>
#include <gnuradio/diffsem/core/link/stationary_channel.h>
#include <gnuradio/diffsem/dvbt_demod_reference_signals.h>
#include <gnuradio/io_signature.h>

#include <algorithm>
#include <atomic>
#include <memory>
#include <string>
#include <vector>

namespace gr {
namespace diffsem {

namespace {

constexpr uint64_t without_frame = 3 * core::DvbtLayout::superframe; // symbols
constexpr int guards[] = {32, 16, 8, 4};
void check(int itemsize, int ninput, int noutput, const dvbt_settings& s)
{
    if (itemsize != int(sizeof(gr_complex)))
        throw core::Error("itemsize is " + text(itemsize) + ": items are complex, give 8");
    check_constellation(s.constellation);
    check_hierarchy(s.hierarchy);
    check_range(
        "guard_interval", s.guard_interval, 3, "GI_1_32, GI_1_16, GI_1_8 or GI_1_4 of gr-dtv");
    check_transmission_mode(s.transmission_mode);
    dvbt_code_rate("code_rate_HP", s.code_rate_HP);
    dvbt_code_rate("code_rate_LP", s.code_rate_LP);
    check_range("include_cell_id", s.include_cell_id, 1, "0 or 1");
    check_range("cell_id", s.cell_id, 65535, "0 to 65535");
    const int times = s.transmission_mode ? 4 : 1;
    if (ninput != 2048 * times)
        throw core::Error("ninput is " + text(ninput) + ": an FFT of the mode " +
                          dvbt_mode_names[s.transmission_mode] + " has " + text(2048 * times) +
                          " elements");
    check_payload("noutput", noutput, s.transmission_mode);
}

} // namespace

class dvbt_demod_reference_signals_impl : public dvbt_demod_reference_signals
{
public:
    dvbt_demod_reference_signals_impl(int ninput,
                                      int noutput,
                                      const dvbt_settings& settings,
                                      scheme::sptr scheme,
                                      bool soft)
        : gr::block("dvbt_demod_reference_signals",
                    gr::io_signature::make(1, 1, sizeof(gr_complex) * std::size_t(ninput)),
                    gr::io_signature::make2(1 + soft,
                                            1 + soft,
                                            sizeof(gr_complex) * std::size_t(noutput),
                                            sizeof(float) * std::size_t(noutput))),
          d_settings(settings),
          d_layout(ninput),
          d_guard(std::size_t(ninput / guards[settings.guard_interval])),
          d_channel(scheme
                        ? std::unique_ptr<core::DvbtChannel>(
                              std::make_unique<dvbt_tiled_channel>(d_layout, scheme->get(), soft))
                        : std::make_unique<core::StationaryChannel>(d_layout, d_guard)),
          d_demodulator(d_layout, *d_channel)
    {
        message_port_register_out(d_keys.stats);
        set_tag_propagation_policy(TPP_DONT);
    }

    uint64_t items_in() const override { return d_in; }
    uint64_t items_out() const override { return d_out; }
    uint64_t items_dropped() const override { return d_dropped; }
    uint64_t losses() const override { return d_losses; }
    float noise_var() const override { return d_noise_var; }

    bool start() override
    {
        d_dropped += d_waiting; // of a stream before this one
        d_waiting = d_unheard = 0;
        d_demodulator.begin();
        return gr::block::start();
    }

    void forecast(int, gr_vector_int& ninput_items_required) override
    {
        ninput_items_required[0] = d_demodulator.due() || (d_waiting && ended(*this)) ? 0 : 1;
    }

    int general_work(int noutput_items,
                     gr_vector_int& ninput_items,
                     gr_vector_const_void_star& input_items,
                     gr_vector_void_star& output_items) override
    {
        const auto* in = static_cast<const gr_complex*>(input_items[0]);
        auto* out = static_cast<gr_complex*>(output_items[0]);
        auto* noise = output_items.size() > 1 ? static_cast<float*>(output_items[1]) : nullptr;
        const int waiting = ninput_items[0];
        const std::size_t size = d_layout.data[0].size();
        if (!waiting && ended(*this))
            d_demodulator.end();
        get_tags_in_range(
            d_tags, 0, nitems_read(0), nitems_read(0) + uint64_t(waiting), d_sync_start);
        int taken = 0, made = 0;
        core::DvbtSymbol symbol;
        while (made < noutput_items) {
            if (d_demodulator.due()) {
                d_waiting--;
                const std::size_t at = std::size_t(made) * size;
                if (!d_demodulator.pop(out + at, symbol, noise ? noise + at : nullptr)) {
                    d_dropped++;
                    continue;
                }
                tag(nitems_written(0) + uint64_t(made++), symbol);
                d_bypassed += !symbol.usable;
                continue;
            }
            if (taken == waiting)
                break;
            take(in + std::size_t(taken) * d_layout.fft_len, nitems_read(0) + uint64_t(taken));
            taken++;
        }
        d_out += uint64_t(made);
        d_unheard = made ? 0 : d_unheard + uint64_t(taken);
        if (d_unheard > without_frame && d_log_limit.due())
            d_logger->warn("no frame is found in {} symbols: is there a signal of the mode {}, and "
                           "are guard_interval and "
                           "the sample rate right?",
                           d_unheard,
                           dvbt_mode_names[d_settings.transmission_mode]);
        consume_each(taken);
        report();
        return made;
    }

private:
    void take(const gr_complex* spectrum, uint64_t offset)
    {
        if (std::any_of(
                d_tags.begin(), d_tags.end(), [&](const auto& t) { return t.offset == offset; }))
            d_demodulator.restart();
        d_demodulator.push(spectrum);
        d_in++;
        // What a restart has thrown away, and what it did not take, was dropped.
        const uint64_t inside = d_demodulator.waiting();
        d_dropped += d_waiting + 1 - inside;
        d_waiting = inside;
    }

    void tag(uint64_t offset, const core::DvbtSymbol& symbol)
    {
        if (symbol.begins) {
            add_item_tag(0, offset, d_superframe_start, pmt::from_long(0xaa));
            compare();
        }
        add_item_tag(0, offset, d_symbol_index, pmt::from_long(symbol.index));
    }

    // What the signal says of itself, and what was said of it.
    void compare()
    {
        const auto& p = d_demodulator.parameters();
        std::string wrong;
        const auto differs = [&](const char* name, int said, int is, const auto& names) {
            if (said != is && is < int(std::size(names)))
                wrong += std::string(wrong.empty() ? "" : ", ") + name + " = " + names[is];
        };
        differs(
            "constellation", d_settings.constellation, p.constellation, dvbt_constellation_names);
        differs("code_rate_HP",
                dvbt_code_rate("code_rate_HP", d_settings.code_rate_HP),
                p.rate_high,
                dvbt_code_rate_names);
        differs("guard_interval", d_settings.guard_interval, p.guard, dvbt_guard_names);
        differs("transmission_mode", d_settings.transmission_mode, p.mode, dvbt_mode_names);
        if (!wrong.empty() && d_log_limit.due())
            d_logger->warn("the signal says {}; set it so in all blocks of the receiver", wrong);
    }

    void report()
    {
        d_noise_var = d_demodulator.noise_var();
        d_losses = d_demodulator.losses();
        if (!d_stats_limit.due())
            return;
        pmt::pmt_t stats = counters(d_out, d_dropped, d_bypassed);
        stats = pmt::dict_add(stats, pmt::mp("losses"), pmt::from_uint64(d_losses));
        stats = pmt::dict_add(stats, pmt::mp("noise_var"), pmt::from_double(d_noise_var));
        message_port_pub(d_keys.stats, stats);
    }

    const keys d_keys;
    const pmt::pmt_t d_sync_start = pmt::mp("sync_start"), d_symbol_index = pmt::mp("symbol_index"),
                     d_superframe_start = pmt::mp("superframe_start");
    const dvbt_settings d_settings;
    const core::DvbtLayout d_layout;
    const std::size_t d_guard;
    const std::unique_ptr<core::DvbtChannel> d_channel;
    core::DvbtDemodulator d_demodulator;
    std::vector<tag_t> d_tags;
    uint64_t d_waiting = 0; // symbols inside
    uint64_t d_unheard = 0; // symbols since the last payload
    std::atomic<uint64_t> d_in{0}, d_out{0}, d_dropped{0}, d_losses{0};
    uint64_t d_bypassed = 0;
    std::atomic<float> d_noise_var{0};
    rate_limit d_log_limit{10.0}, d_stats_limit{1.0};
};

dvbt_demod_reference_signals::sptr dvbt_demod_reference_signals::make(int itemsize,
                                                                      int ninput,
                                                                      int noutput,
                                                                      const dvbt_settings& settings,
                                                                      diffsem::scheme::sptr scheme,
                                                                      bool soft)
{
    check(itemsize, ninput, noutput, settings);
    return gnuradio::make_block_sptr<dvbt_demod_reference_signals_impl>(
        ninput, noutput, settings, std::move(scheme), soft);
}

} // namespace diffsem
} // namespace gr
