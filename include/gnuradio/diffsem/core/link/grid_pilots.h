/*
 * SPDX-License-Identifier: GPL-3.0-or-later
 *
 * The pilots of OFDM symbols as measurements of a channel over time and frequency.
 */
#pragma once

#include <gnuradio/diffsem/core/base/types.h>
#include <gnuradio/diffsem/core/link/noise_estimate.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace gr {
namespace diffsem {
namespace core {

//! Pilots of one symbol: carriers counted from DC, and what is sent on each.
using SymbolPilots = std::pair<std::vector<int>, std::vector<cfloat>>;

//! The squares of noise that were seen, added up, and how many.
struct NoiseSum {
    double sum = 0, count = 0;
    void add(const NoiseSum& other)
    {
        sum += other.sum;
        count += other.count;
    }
    double mean() const { return sum / count; } //!< NaN where none were seen
};

/*!
 * A pattern of pilots that repeats, and the grid that it measures: a column for each carrier from the lowest occupied one to
 * the highest (DC too, if it lies between them), a row for each symbol. Spectra are in shifted order, DC in the middle.
 */
class GridPilots
{
public:
    /*!
     * \param fft_len       carriers of a symbol, N
     * \param occupied      those that carry energy, counted from DC (-N/2 .. N/2 - 1), in any order
     * \param pattern       an entry for each symbol of a period; a symbol without pilots has empty lists
     * \param null_carriers where nothing is sent and the noise is as it is elsewhere; the noise is measured there. Empty: on
     *                      what the pilots of a symbol have beyond \p delay_window
     * \param delay_window  samples that the channel may last; 0: N/4, N/8, N/16 or N/32, the longest that leaves a
     *                      quarter of some symbol's pilots for the noise
     * Throws Error naming the parameter, its value and the remedy.
     */
    GridPilots(int fft_len,
               const std::vector<int>& occupied,
               const std::vector<SymbolPilots>& pattern,
               const std::vector<int>& null_carriers = {},
               float delay_window = 0);

    /*!
     * Throws Error where a window of so many symbols is too short: it could see no pilot at all; or, unless each period is
     * a frame of its own, not all of their places.
     */
    void check_window(std::size_t window, bool frames) const;

    std::size_t fft_len() const { return d_n; }
    std::size_t first() const { return d_first; }     //!< index of the first column in a spectrum
    std::size_t columns() const { return d_columns; } //!< of the grid
    std::size_t period() const { return d_symbols.size(); } //!< symbols

    /*!
     * Least squares: \p taps (one row of the grid) y/p at the pilots of the symbol at this place in the period, 0 elsewhere;
     * \p noise_gain of each the noise variance over that of a received carrier, infinite where there is no pilot.
     */
    void measure(const cfloat* symbol, std::size_t phase, cfloat* taps, float* noise_gain) const;

    //! Noise of a received carrier, as this symbol and its taps show it; count 0: they do not.
    NoiseSum noise(const cfloat* symbol, const cfloat* taps, std::size_t phase) const;
    //! Why noise() is never seen; empty: it is.
    const std::string& noise_error() const { return d_noise_error; }
    float delay_window() const { return d_delay_window; } //!< samples, as chosen; 0: not used

    /*!
     * The classical answer: lines between the measured elements of a column, then between the columns that have any;
     * constant beyond the outermost. 0 where nothing is measured at all.
     * \param taps, noise_gain rows x columns(), as measure() gives them
     * \param out              rows x columns()
     */
    void
    interpolate(const cfloat* taps, const float* noise_gain, std::size_t rows, cfloat* out) const;

private:
    struct Symbol {
        std::vector<std::size_t> index; // in a spectrum
        std::vector<cfloat> inverse;    // 1/p
        std::vector<float> gain;        // 1/|p|^2
        double mean_gain = 0;
        std::shared_ptr<const DelayTailNoise> tail; // none: too few pilots
    };
    std::vector<std::uint8_t> band(const std::vector<int>& carriers, const char* parameter) const;
    Symbol checked(const SymbolPilots& pilots,
                   std::size_t at,
                   const std::vector<std::uint8_t>& occupied) const;
    void find_repetition(const std::vector<SymbolPilots>& pattern);
    bool choose_tails(float window, double least_share);
    bool interpolate_column(const cfloat* taps,
                            const float* noise_gain,
                            std::size_t rows,
                            std::size_t column,
                            cfloat* out) const;

    std::size_t d_n, d_first = 0, d_columns = 0;
    std::vector<Symbol> d_symbols;
    std::size_t d_places = 0; // symbols after which the places of pilots repeat
    std::size_t d_gap = 0;    // longest run of symbols without any
    std::vector<std::size_t> d_null;
    float d_delay_window = 0;
    std::string d_noise_error;
};

} // namespace core
} // namespace diffsem
} // namespace gr
