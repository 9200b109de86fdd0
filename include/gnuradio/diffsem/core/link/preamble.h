/*
 * SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Finding frames by a known preamble at low SNR, in fading and with a carrier offset.
 */
#pragma once

#include <gnuradio/diffsem/core/base/error.h>
#include <gnuradio/diffsem/core/base/types.h>

#include <array>
#include <cstdint>
#include <vector>

namespace gr {
namespace diffsem {
namespace core {

/*!
 * Correlates samples with a preamble of two OFDM symbols with cyclic prefixes.
 *
 * The correlation is taken in segments of 1/8 symbol, so short that an offset of some carriers does not
 * turn the phase within one, and the segments are added up for each of a grid of offsets, a quarter of a carrier
 * apart (at most 1.4 dB are lost between two). The power |c_f[t + d]|^2 is then summed over the delays d = 0 ..
 * cp_len of a channel, with weights that favour early delays: this collects a faded channel's paths, and its
 * maximum over t puts the FFT window where the prefix holds them. The score is that sum over the
 * received power, so that on noise of any level it has one distribution: nearly a gamma one, from
 * which the threshold for a chosen probability of false alarm follows.
 *
 * Arithmetic is what idle air costs, so it is saved. The prefix repeats samples of its symbol: so do its segments.
 * Segments of 1/8 symbol and offsets of 1/4 carrier make the sum over segments a DFT of 32 points, of whose outputs
 * some are wanted: it is taken in two steps, as an FFT would. And the weighted sum over delays is only taken where one
 * of sums of four delays, which is never below it, reaches the threshold.
 */
class PreambleCorrelator
{
public:
    /*!
     * \param word1,word2  sync words in the frequency domain, shifted order, fft_len values each
     * \param cp_len       samples of the cyclic prefix
     * \param max_offset   largest carrier offset searched, carrier spacings
     * \param false_alarm  probability per sample that noise alone exceeds the threshold
     * Throws Error naming the parameter.
     */
    PreambleCorrelator(const std::vector<cfloat>& word1,
                       const std::vector<cfloat>& word2,
                       int cp_len,
                       float max_offset,
                       double false_alarm);

    //! Samples that the score of one position takes: its own and those behind it.
    int reach() const { return static_cast<int>(d_template.size()) + d_cp; }
    float threshold() const { return d_threshold; }
    float max_offset() const { return d_max_offset; } //!< carrier spacings
    //! Probability per sample that noise alone exceeds this score.
    double false_alarm(float score) const;
    //! The preamble in the time domain, mean power 1.
    const std::vector<cfloat>& samples() const { return d_template; }

    /*!
     * Scores of \p n positions: samples holds n - 1 + reach(). The frame whose first FFT window begins
     * cp_len behind position t has its paths in that window's prefix. \p grid: the best offset's
     * index, for refine(). A score that is surely below the threshold is given as 0.
     */
    void scores(const cfloat* samples, int n, float* score, std::uint8_t* grid);

    //! Carrier offset in carrier spacings at one position (reach() samples), found near the grid's.
    double refine(const cfloat* samples, int grid) const;

private:
    void correlate(const cfloat* samples, int n);
    void powers(int n);
    void weigh(const cfloat* samples, int n, float* score, std::uint8_t* grid);

    int d_fft_len, d_cp, d_segment, d_segments;
    std::vector<cfloat> d_template;
    std::vector<float> d_weight;  // of delays 0 .. cp
    std::vector<float> d_bound;   // of groups of them: the largest of four
    std::vector<double> d_offset; // grid
    static constexpr int points =
        32; // of the DFT over segments: offsets of 1/4 carrier, segments of 1/8 symbol
    std::array<cfloat, points> d_turn;
    std::vector<int> d_same; // for each segment the first one with the same samples
    float d_threshold, d_max_offset;
    double d_shape, d_scale; // gamma distribution of the score at one offset
    // scratch: real and imaginary parts apart, so that the compiler vectorises over positions
    std::vector<float> d_re, d_im, d_seg_re, d_seg_im, d_power, d_pairs, d_fours, d_level, d_sum,
        d_best;
    std::size_t d_row = 0; // values of a segment or an offset in d_seg_*, d_power
};

} // namespace core
} // namespace diffsem
} // namespace gr
