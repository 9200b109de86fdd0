/*
 * SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Where OFDM symbols begin and how far their carriers are off, by their guard intervals.
 */
#pragma once

#include <gnuradio/diffsem/core/base/types.h>

#include <cstddef>
#include <cstdint>
#include <vector>

namespace gr {
namespace diffsem {
namespace core {

/*!
 * A guard interval of G samples is the copy of what comes N later (J.-J. van de Beek et al., IEEE Trans. Signal Processing 45(7),
 * 1997). Here the product x[n] conj(x[n + N]) is averaged over the symbols for each place n of a symbol by itself:
 *
 *   e[n] = sum over the paths of |a|^2, of those whose guard interval holds n                                  (1)
 *
 * (and the turn by the carrier offset). So e is highest where all paths' guard intervals lie over each other: an FFT that begins
 * there sees no symbol but one, and two equal echoes only make that region shorter. It ends where the first path's guard
 * interval ends; an FFT begins a few samples before that. The place is kept by averages over hundreds of symbols, so that a fade does not lose it.
 */
class GuardSync
{
public:
    //! \param fft_len N; \param guard G, samples, less than N. Throws Error naming the parameter
    GuardSync(int fft_len, int guard);
    //! Throws the Error that the constructor would.
    static void check(int fft_len, int guard);

    //! Samples that next() looks at.
    std::size_t needs() const { return 2 * d_symbol; }
    /*!
     * One symbol period of needs() samples. \p out: N samples for the FFT, the carrier offset within half a spacing taken out. True:
     * they are a symbol. \p consumed: samples that the next call begins later.
     */
    bool next(const cfloat* in, cfloat* out, std::size_t& consumed);

    bool locked() const { return d_locked; }
    //! This symbol is the first one since the place was found.
    bool fresh() const { return d_fresh; }
    float offset() const
    {
        return static_cast<float>(d_offset);
    } //!< of the carriers, in their spacing, -0.5 .. 0.5
    //! Of the received power the share that the guard intervals repeat, 0 .. 1: SNR / (1 + SNR).
    float coherence() const { return static_cast<float>(d_coherence); }
    std::uint64_t losses() const { return d_losses; }

private:
    void average(const cfloat* in);
    void forget();
    void look();
    std::size_t find();
    void keep();
    std::ptrdiff_t first_end(std::size_t place, cfloat sum);
    std::size_t move(std::size_t samples);
    void derotate(const cfloat* in, cfloat* out) const;

    const std::size_t d_n, d_guard, d_symbol, d_slack, d_smooth, d_margin;
    std::vector<cfloat> d_mean; // e[n]
    std::vector<float> d_power; // of the samples that it is made of
    std::vector<float> d_size;  // sums of e over sums of that
    std::vector<double> d_sums,
        d_path;                // of e; power of a path whose guard interval begins at a place
    const std::size_t d_start; // of the FFT's samples, behind the place where next() looks from
    std::size_t d_averaged = 0;
    bool d_locked = false, d_settling = false, d_fresh = false, d_offset_known = false;
    std::ptrdiff_t d_move = 0; // samples by which the next symbol begins later than it would
    double d_offset = 0, d_coherence = 0, d_phase = 0;
    std::size_t d_weak = 0; // symbols
    std::uint64_t d_losses = 0;
};

} // namespace core
} // namespace diffsem
} // namespace gr
