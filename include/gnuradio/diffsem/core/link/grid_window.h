/*
 * SPDX-License-Identifier: GPL-3.0-or-later
 *
 * A window that moves over OFDM symbols: what the last ones measured, and which of them wait for their answer.
 */
#pragma once

#include <gnuradio/diffsem/core/link/grid_pilots.h>

#include <cstddef>
#include <cstdint>
#include <vector>

namespace gr {
namespace diffsem {
namespace core {

/*!
 * Symbols come one by one, and are answered in order, some at a time: those in the middle of the window, as far as the latency
 * allows. With a window of W symbols and a latency of L, hop() = min((L + 2) / 2, W / 2), at least 1, are answered at once
 * when ahead() = min(L + 1 - hop(), (W - hop()) / 2) more have come behind them. So none waits for more than L. Rows of
 * symbols that have not come, or came before a restart, are not measured.
 */
class GridWindow
{
public:
    //! \p pilots must outlive it. Throws Error naming the parameter, its value and the remedy.
    GridWindow(const GridPilots& pilots, int window, int latency, bool frames);

    std::size_t rows() const { return d_rows; }   //!< W
    std::size_t hop() const { return d_hop; }     //!< symbols that a whole window answers
    std::size_t ahead() const { return d_ahead; } //!< that have to come behind them

    std::size_t pending() const { return d_filled - d_given; } //!< came, and were not answered
    bool due() const { return pending() == d_hop + d_ahead; }
    bool empty() const { return d_filled == 0; }

    //! Forgets everything; nothing may be pending.
    void restart();
    //! One more, unless due(). \p phase: its place in the pilots' period. One that is not finite measures nothing.
    void push(const cfloat* symbol, std::size_t phase);
    //! So many pending ones are answered.
    void give(std::size_t count) { d_given += count; }

    std::size_t at() const { return d_given; } //!< row of the oldest that is pending
    const cfloat* symbol(std::size_t row) const { return &d_symbols[row * d_pilots.fft_len()]; }
    bool finite(std::size_t row) const { return d_finite[row]; }
    const cfloat* taps() const { return d_taps.data(); } //!< rows x columns, as GridPilots measures
    const float* noise_gain() const { return d_gain.data(); } //!< the same

    //! What all rows say of the noise of a received carrier.
    NoiseSum noise() const;
    //! Mean power of the received pilots; 0 where there is none.
    float pilot_power() const;

private:
    void shift(std::size_t rows);

    const GridPilots& d_pilots;
    std::size_t d_rows, d_hop, d_ahead;
    std::size_t d_filled = 0, d_given = 0; // rows
    std::vector<cfloat> d_symbols, d_taps;
    std::vector<float> d_gain;
    std::vector<NoiseSum> d_noise;
    std::vector<std::uint8_t> d_finite;
};

} // namespace core
} // namespace diffsem
} // namespace gr
