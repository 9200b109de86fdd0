/*
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#pragma once

#include "grid_run.h"
#include "live_block.h"
#include "live_scheme.h"

#include <gnuradio/diffsem/core/link/grid_window.h>
#include <gnuradio/diffsem/ofdm_grid_chanest.h>

#include <atomic>
#include <memory>
#include <string>
#include <vector>

namespace gr {
namespace diffsem {

class ofdm_grid_chanest_impl : public live_block<ofdm_grid_chanest>
{
public:
    //! Has nothing to run with `ls`.
    using plan = scheme_plan_of<grid_run>;
    //! What the window points to stays where it is.
    struct grid {
        core::GridPilots pilots;
        core::GridWindow window;
        grid(int fft_len,
             const std::vector<int>& occupied,
             const pilot_pattern& pattern,
             const ofdm_grid_chanest_options& options);
        std::size_t size() const { return window.rows() * pilots.columns(); }
        std::size_t most() const { return window.hop() + window.ahead(); } //!< answers of a window
        std::size_t windows() const; //!< of a call, where so many wait
    };

    ofdm_grid_chanest_impl(plan p,
                           std::unique_ptr<grid> made,
                           const ofdm_grid_chanest_options& options);

    //! Loads and tries a scheme; throws where it does not fit.
    static plan prepare(diffsem::scheme::sptr handle,
                        const grid& made,
                        const scheme_settings& set,
                        float noise_var);

    void set_steps(int steps) override { d_live.set_steps(steps); }
    void set_eta(float eta) override { d_live.set_eta(eta); }
    void set_seed(uint64_t seed) override { d_live.set_seed(seed); }
    void set_noise_var(float noise_var) override;
    void set_tag_items(bool tag_items) override;
    void set_scheme(diffsem::scheme::sptr scheme) override { d_live.set_scheme(scheme); }
    float noise_var() const override { return d_last_noise; }
    uint64_t restarts() const override { return d_restarts; }

    void forecast(int noutput_items, gr_vector_int& ninput_items_required) override;
    int general_work(int noutput_items,
                     gr_vector_int& ninput_items,
                     gr_vector_const_void_star& input_items,
                     gr_vector_void_star& output_items) override;

private:
    inference_ledger& ledger() override { return d_ledger; }
    float current_noise_var();

    std::size_t due() const;
    void collect(const gr_complex* in, int waiting, std::size_t most, gr_complex* symbols);
    void next(std::size_t count);
    int take(const gr_complex* in, int items);
    bool obey(const tag_t& tag);
    bool begin_anew(bool lost, const char* reason);
    bool keep(std::size_t count, gr_complex* symbols);
    void infer(const core::RunLimit& limit);
    void interpolate(std::size_t slot, gr_complex* taps) const;
    float window_noise();
    void put_out(gr_vector_void_star& output_items);
    void tag_symbols(uint64_t first, std::size_t ports);

    const keys d_keys;
    const pmt::pmt_t d_frame_key, d_rx_time = pmt::mp("rx_time");
    const bool d_framed;
    const std::unique_ptr<grid> d_grid;
    core::GridWindow& d_window;

    // the mutex of d_live holds
    float d_noise_var;
    bool d_tag_items;

    std::size_t d_phase = 0;    // of the next symbol, in the pattern
    uint64_t d_frame_left = 0;  // symbols of a frame of known length that are still to come
    bool d_frame_known = false; // such a frame is being taken
    bool d_flush = false;       // what is pending is answered without waiting for more
    float d_noise = -1;         // as last measured; < 0: not yet
    double d_freedom = 0;       // complex elements that it was measured on

    //! A window that is answered in this call; its grids are those of its index.
    struct slot {
        std::size_t at, count; // of the rows that are answered, the first, and how many
        float noise_var;
    };
    std::vector<slot> d_slots;
    // windows x rows x columns
    std::vector<gr_complex> d_measured, d_taps, d_lines;
    std::vector<float> d_gain, d_tap_noise, d_error;
    std::vector<core::GridInfo> d_done;
    std::vector<core::ItemInfo> d_info; // of the symbols of a call
    std::vector<tag_t> d_seen, d_tags;  // in a call's input; of pending symbols, offsets as read
    uint64_t d_first = 0;               // index of the oldest symbol that is pending
    std::atomic<float> d_last_noise{0};
    std::atomic<uint64_t> d_restarts{0};
    rate_limit d_restart_limit{1.0};
    live_scheme<plan> d_live; // last
    plan& d;                  // of it
    inference_ledger& d_ledger;
};

} // namespace diffsem
} // namespace gr
