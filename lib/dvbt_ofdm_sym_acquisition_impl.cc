/*
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#include "block_helpers.h"

#include <gnuradio/diffsem/core/link/guard_sync.h>
#include <gnuradio/diffsem/dvbt_ofdm_sym_acquisition.h>
#include <gnuradio/io_signature.h>

#include <atomic>
#include <cmath>

namespace gr {
namespace diffsem {

namespace {

constexpr uint64_t patience = 400; // symbols that may show nothing before it is said

} // namespace

class dvbt_ofdm_sym_acquisition_impl : public dvbt_ofdm_sym_acquisition
{
public:
    dvbt_ofdm_sym_acquisition_impl(int fft_length, int cp_length)
        : gr::block("dvbt_ofdm_sym_acquisition",
                    gr::io_signature::make(1, 1, sizeof(gr_complex)),
                    gr::io_signature::make(1, 1, sizeof(gr_complex) * std::size_t(fft_length))),
          d_fft_length(fft_length),
          d_cp_length(cp_length),
          d_sync(fft_length, cp_length)
    {
        message_port_register_out(d_keys.stats);
        set_tag_propagation_policy(TPP_DONT);
        set_relative_rate(1, uint64_t(fft_length + cp_length));
    }

    bool locked() const override { return d_locked; }
    float offset() const override { return d_offset; }
    float coherence() const override { return d_coherence; }
    uint64_t losses() const override { return d_losses; }

    void forecast(int noutput_items, gr_vector_int& ninput_items_required) override
    {
        ninput_items_required[0] =
            int(d_sync.needs()) + (noutput_items - 1) * (d_fft_length + d_cp_length);
    }

    int general_work(int noutput_items,
                     gr_vector_int& ninput_items,
                     gr_vector_const_void_star& input_items,
                     gr_vector_void_star& output_items) override
    {
        const auto* in = static_cast<const gr_complex*>(input_items[0]);
        auto* out = static_cast<gr_complex*>(output_items[0]);
        std::size_t used = 0, consumed = 0;
        int made = 0;
        while (made < noutput_items && used + d_sync.needs() <= std::size_t(ninput_items[0])) {
            d_silent++;
            if (d_sync.next(
                    in + used, out + std::size_t(made) * std::size_t(d_fft_length), consumed)) {
                if (d_sync.fresh())
                    add_item_tag(
                        0, nitems_written(0) + uint64_t(made), d_sync_start, pmt::from_long(1));
                made++;
                d_silent = 0;
            }
            used += consumed;
        }
        consume_each(int(used));
        report();
        return made;
    }

private:
    void report()
    {
        d_locked = d_sync.locked() && d_silent <= patience; // a tone never settles
        d_offset = d_sync.offset();
        d_coherence = d_sync.coherence();
        d_losses = d_sync.losses();
        if (d_silent > patience && d_log_limit.due())
            d_logger->warn(
                "no symbol of {} samples with a guard interval of {} is found (coherence {:.2f}): "
                "is "
                "there a signal, and are fft_length, cp_length and the sample rate right?",
                d_fft_length,
                d_cp_length,
                d_sync.coherence());
        if (!d_stats_limit.due())
            return;
        pmt::pmt_t stats = pmt::make_dict();
        stats = pmt::dict_add(stats, pmt::mp("locked"), pmt::from_bool(d_locked));
        stats = pmt::dict_add(stats, pmt::mp("coherence"), pmt::from_double(d_coherence));
        stats = pmt::dict_add(stats, pmt::mp("offset"), pmt::from_double(d_offset));
        stats = pmt::dict_add(stats, pmt::mp("losses"), pmt::from_uint64(d_losses));
        message_port_pub(d_keys.stats, stats);
    }

    const keys d_keys;
    const pmt::pmt_t d_sync_start = pmt::mp("sync_start");
    const int d_fft_length, d_cp_length;
    core::GuardSync d_sync;
    uint64_t d_silent = 0;
    std::atomic<bool> d_locked{false};
    std::atomic<float> d_offset{0}, d_coherence{0};
    std::atomic<uint64_t> d_losses{0};
    rate_limit d_log_limit{10.0}, d_stats_limit{1.0};
};

dvbt_ofdm_sym_acquisition::sptr dvbt_ofdm_sym_acquisition::make(int blocks,
                                                                int fft_length,
                                                                int occupied_tones,
                                                                int cp_length,
                                                                float snr)
{
    if (blocks != 1)
        throw core::Error("blocks is " + text(blocks) + ": give 1");
    core::GuardSync::check(fft_length, cp_length);
    if (occupied_tones < 1 || occupied_tones > fft_length)
        throw core::Error("occupied_tones is " + text(occupied_tones) +
                          ": give 1 to fft_length = " + text(fft_length) +
                          " (DVB-T: 1705 of 2048, 6817 of 8192)");
    if (!std::isfinite(snr))
        throw core::Error("snr is " + text(snr) + ": give dB");
    return gnuradio::make_block_sptr<dvbt_ofdm_sym_acquisition_impl>(fft_length, cp_length);
}

} // namespace diffsem
} // namespace gr
