/*
 * SPDX-License-Identifier: GPL-3.0-or-later
 *
 * A channel over time and frequency whose statistics last: what powers its delays have and how fast it fades is measured
 * on the stream itself; given these, the estimate is a linear filter.
 */
#pragma once

#include <gnuradio/diffsem/core/base/types.h>
#include <gnuradio/diffsem/core/link/dvbt_channel.h>
#include <gnuradio/diffsem/core/link/dvbt_layout.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace gr {
namespace diffsem {
namespace core {

/*!
 * `ofdm_grid` says in each window anew what power each delay and Doppler has (docs/ofdm_grid.md, (2)). A broadcast goes on for
 * hours, and all its carriers see the same paths: here these powers are running means over the symbols, and (2) is, with them,
 * two Wiener filters in a row (P. Hoeher et al., ICASSP 1997): over the symbols for each carrier that is a scattered pilot at
 * some time, then over those carriers to all.
 *
 *   time       r(s) = J0(2 pi f s), f from the coherence of pilots 4, 8 and 12 symbols apart
 *   frequency  R(k) = sum over tau of p(tau) exp(-2j pi k tau / N), p from the correlation over carriers of what the first
 *              filter gives, less the noise, which is what lies where no path can be
 *
 * Rows are symbols, their carriers as in DvbtLayout, the carrier offset and steps of timing taken out.
 */
class StationaryChannel : public DvbtChannel
{
public:
    static constexpr std::size_t rows = 24; //!< that an answer is made from

    //! \param guard samples; no path is expected further than that behind the window's end
    StationaryChannel(const DvbtLayout& layout, std::size_t guard);

    std::size_t ahead() const override { return rows / 2; }
    //! Forgets the rows; what is known of delays, fading and noise stays.
    void restart() override;
    void push(const cfloat* carriers, std::size_t phase) override;
    /*!
     * The channel at the row that came \p back rows before the last one (back < rows), on all carriers; 0 where no row has
     * measured anything. Allocates nothing.
     */
    void estimate(std::size_t back, cfloat* channel, float* error = nullptr) override;

    float noise_var() const override;
    float doppler() const { return static_cast<float>(d_doppler); } //!< largest, cycles a symbol
    float power() const { return static_cast<float>(d_power); }     //!< of the channel
    //! Power of each delay, in steps of N / (3 bins) samples from first_delay(), N the FFT length.
    const std::vector<double>& profile() const { return d_profile; }
    double first_delay() const;

private:
    static constexpr std::size_t taps = 24;  // columns that a carrier is estimated from
    static constexpr std::size_t lags = 96;  // columns of the correlation
    static constexpr std::size_t bins = 192; // of delay
    static constexpr std::size_t positions = (taps - 1) * DvbtLayout::spacing + 1;
    static constexpr double least_noise = 1e-7; // over the power: what single precision leaves
    struct Row {
        std::size_t phase = 0;
        bool measured = false;
        std::vector<float> re, im; // at its pilots
    };
    struct TimeFilter { // of the columns of one phase
        std::size_t count = 0;
        std::array<std::size_t, rows> age{};
        std::array<float, rows> weight{};
    };
    std::size_t pilots(std::size_t phase) const;
    const Row& row(std::size_t age) const { return d_rows[(d_next + rows - 1 - age) % rows]; }
    void measure_time();
    void measure_frequency();
    void renew_doppler();
    void renew_fading();
    void renew_profile();
    void renew_frequency_filter();
    TimeFilter time_filter(std::size_t back, std::size_t phase);
    void over_time(std::size_t back);
    void over_frequency(cfloat* channel) const;
    std::size_t first_column(std::size_t carrier) const;
    std::size_t position(std::size_t carrier) const;
    double share_of_delays() const;

    const DvbtLayout& d_layout;
    const std::size_t d_guard;
    std::array<Row, rows> d_rows;
    std::size_t d_next = 0, d_seen = 0;

    // running means
    double d_mean_power = 0,
           d_times = 0; // of pilots divided by what was sent, noise and all; how many count
    std::array<double, 3> d_lag_power{};
    std::array<std::complex<double>, 3> d_lag{};
    std::vector<std::complex<double>> d_correlation;
    double d_correlations = 0; // how many, as far as they count

    double d_doppler, d_power = 1, d_noise,
                      d_measured = 0;              // d_noise: of a pilot divided by what was sent
    double d_bias = 1, d_signal = 1, d_left = 0.1; // of the first filter: see over_time()
    std::array<double, rows> d_fading{};           // r(s)
    std::vector<double> d_profile;
    std::vector<float> d_re, d_im;               // what the first filter gives, for each column
    std::vector<float> d_filter_re, d_filter_im; // positions x taps
    std::array<float, positions> d_error{};      // of their answers, over d_power
    std::vector<std::complex<double>> d_turns;   // exp(-2j pi i / (3 bins)), i = 0 .. 3 bins - 1
    std::size_t d_until_renewed = 0;
};

} // namespace core
} // namespace diffsem
} // namespace gr
