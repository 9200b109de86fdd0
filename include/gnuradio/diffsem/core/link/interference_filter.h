/*
 * SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Takes lines (DC, carriers) and neighbours out of a stream of samples, where there are any.
 */
#pragma once

#include <gnuradio/diffsem/core/base/types.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

namespace gr {
namespace diffsem {
namespace core {

/*!
 * Watches the spectrum of the stream in blocks of eight symbols, of which it averages some, and takes out by a filter of
 * linear phase and no delay what cannot be OFDM of this layout:
 *
 * - lines: far above the spectrum around them, and narrower than a carrier. DC with a carrier offset is one;
 * - parts of the band far above the rest of it, unless they are most of it;
 * - all that is outside the carriers in use at the largest offset, where it is stronger than inside: a neighbour.
 *
 * A notch costs about a carrier. Where nothing is found, samples go through as they are and at once, but for the first
 * block, which is waited for; else up to a block and a half are held back. Thresholds allow for how many blocks the
 * average is of, so that noise and fading are not taken for interference (1e-8 for each value).
 *
 * A layout whose carriers have gaps has lines itself: then only neighbours are looked for.
 */
class InterferenceFilter
{
public:
    //! What is taken out now.
    struct Found {
        bool dc = false, tone = false, neighbour = false;
        bool any() const { return dc || tone || neighbour; }
    };

    /*!
     * \param used       carriers in use, indices in shifted order, ascending
     * \param fft_len    carriers, a multiple of 8
     * \param max_offset largest carrier offset, carrier spacings
     */
    InterferenceFilter(const std::vector<int>& used, int fft_len, float max_offset);
    ~InterferenceFilter();

    //! Takes n finite samples, and appends to \p out what is ready. Any pieces give the same samples.
    void run(const cfloat* samples, std::size_t n, std::vector<cfloat>& out);
    Found found() const;

private:
    struct Transforms;

    void look(const cfloat* block);
    void mark();
    void design();
    void filter(std::vector<cfloat>& out);
    bool narrow(std::size_t bin, double threshold) const;

    const std::size_t d_size; // samples of a block, and values of its spectrum, natural order
    std::vector<float> d_hann;
    std::vector<bool> d_inside,
        d_outside; // of each value: where the signal can be, where it cannot
    bool d_dense;  // no gaps between carriers
    std::unique_ptr<Transforms> d_transforms;

    std::vector<float> d_power; // spectrum, averaged
    std::vector<double> d_sum;  // of d_power up to each value, three times around
    int d_blocks = 0;           // looked at
    std::vector<int> d_hold;    // looks that a value is still taken out for
    std::vector<bool> d_cut;
    int d_hold_outside = 0;
    std::vector<cfloat> d_response; // of the filter, 2 * d_size values; empty: nothing is taken out

    double d_removed = 0;       // power of the last block that was taken out
    std::vector<cfloat> d_past; // samples from d_first on
    std::uint64_t d_first = 0, d_done = 0,
                  d_looked = 0; // sample numbers: held from, given out, blocks looked at up to
    std::vector<cfloat> d_block, d_wide, d_spectrum, d_result;
};

} // namespace core
} // namespace diffsem
} // namespace gr
