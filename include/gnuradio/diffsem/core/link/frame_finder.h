/*
 * SPDX-License-Identifier: GPL-3.0-or-later
 *
 * From samples to the OFDM symbols of frames: preamble, header, payload, and where each lies in the stream.
 */
#pragma once

#include <gnuradio/diffsem/core/link/frame_receiver.h>
#include <gnuradio/diffsem/core/link/impulse_blanker.h>
#include <gnuradio/diffsem/core/link/interference_filter.h>
#include <gnuradio/diffsem/core/link/preamble.h>

#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <vector>

namespace gr {
namespace diffsem {
namespace core {

//! A frame that was found, with N = fft_len values in each vector.
struct FoundFrame {
    FrameHeader header;
    double carrier_offset = 0; //!< carrier spacings
    std::uint64_t start = 0;   //!< its first sample, counted in the stream
    double score = 0;          //!< of its preamble, over the threshold; 1 or more
    //! Both sync words as one, header, payload, then zeros up to a full payload; shifted order, offset turned back.
    std::vector<cfloat> vectors;
    //! Of each symbol of header and payload the share of its samples that were impulses; empty: none were.
    std::vector<float> lost;
};

/*!
 * Finds frames in a stream that comes piece by piece:
 *
 *     finder.take(samples, n);
 *     while (finder.next())
 *         use(finder.frame());
 *
 * The best score of the preamble within a symbol's length is a peak. Its offset is turned back before the DFT, the
 * header is decoded from the first symbols behind the sync words, and only a frame whose header is clear goes out. One
 * that is not waits for a few more: a neighbour's header tells what its own must be, or all of them do together.
 * Results do not depend on the size of the pieces.
 *
 * Impulses, lines and neighbours are taken out first (ImpulseBlanker, InterferenceFilter). I and Q that are not alike
 * make an image of the signal; OFDM has E[x^2] = 0 without one, so it is measured on each frame and taken out. What else looks like preambles
 * must not cost more than a share of a core: headers that fail are paid for from an allowance, and while there is a
 * debt only higher scores are looked at, the higher the larger it is. Noise alone stays far below the allowance, and a
 * frame passes over what is weaker than itself.
 */
class FrameFinder
{
public:
    //! DFT of N samples, not scaled, natural order. The result holds until the next call.
    using Dft = std::function<const cfloat*(const cfloat*)>;

    FrameFinder(FrameLayout layout, PreambleCorrelator correlator, Dft dft);

    const FrameLayout& layout() const { return d_front.layout(); }
    //! Symbol that FoundFrame::vectors begins with, as if it had been sent.
    const std::vector<cfloat>& sync_reference() const { return d_front.sync_reference(); }

    //! Most samples that are taken at once.
    static constexpr int piece = 8192;
    /*!
     * Takes up to \p piece of \p n samples, after next() has said false; gives how many. A sample that is no number, or
     * whose power is 1e30 or more, counts as 0.
     */
    int take(const cfloat* samples, int n);
    //! Goes on as far as the samples reach; true: there is another frame().
    bool next();
    const FoundFrame& frame() const { return d_frame; }

    std::uint64_t found() const { return d_found; } //!< peaks
    std::uint64_t out() const { return d_out; }     //!< of them frames with a header
    std::uint64_t recognised() const
    {
        return d_recognised;
    } //!< whose header was recognised, not decoded
    std::uint64_t blanked() const { return d_blanked; } //!< samples that count as 0
    std::uint64_t impulses() const
    {
        return d_blanker.blanked();
    } //!< samples taken out as impulses
    std::uint64_t skipped() const
    {
        return d_skipped;
    } //!< peaks that the allowance did not reach for
    cfloat image() const
    {
        return d_image;
    } //!< relative amplitude of the mirror image that is taken out
    InterferenceFilter::Found interference() const { return d_filter.found(); }

    //! Samples for one header that fails, in the mean of long.
    static constexpr double samples_per_failure = 400;

private:
    void score();
    bool search();
    bool read_header();
    bool read_frame();
    //! A frame whose header has been looked at: where it begins, its offset, what its header's bits say.
    struct Waiting {
        std::size_t start;
        double offset, step;
        HeaderCode::Evidence evidence;
        FrameHeader header;
    };
    bool hold(const Waiting& frame);
    bool join();
    void rescue(double other);
    void begin(bool again);
    void spectrum(int symbol, cfloat* out);
    void forget();
    void fail();
    void learn_image(std::size_t end);
    double debt(std::uint64_t at) const;
    int impulses_in(int symbol) const;

    FrameFront d_front;
    PreambleCorrelator d_correlator;
    HeaderTracker d_tracker;
    Dft d_dft;
    const int d_len, d_symbol, d_look;

    // Zeros before the stream: what stands in front (a resampler, a radio) may have eaten the beginning of the first
    // frame, whose guard interval can be missed.
    const std::size_t d_lead;
    ImpulseBlanker d_blanker;
    InterferenceFilter d_filter;
    std::vector<cfloat> d_sane, d_even; // scratch: samples that are numbers, without impulses
    std::vector<cfloat> d_samples;      // from sample d_base on, d_lead of which are those zeros
    std::uint64_t d_base = 0;
    std::uint64_t d_heard = 0; // end of the last frame
    std::vector<float> d_score;
    std::vector<std::uint8_t> d_grid;
    std::size_t d_position = 0;       // first one not examined
    std::uint64_t d_inside_until = 0; // up to here lies the last frame, if no sample was lost
    float d_inside_score = 0;         // that a preamble within it must have
    double d_debt = 0;                // failed headers beyond the allowance at sample d_debt_at
    std::uint64_t d_debt_at = 0, d_skipped_at = 0;

    enum class State { search, header, frame } d_state = State::search;
    std::size_t d_start = 0,
                d_next = 0;          // the frame's first sample; where to go on without a header
    double d_offset = 0, d_step = 0; // carrier spacings; rad per symbol that are left
    FrameHeader d_header;
    int d_payload = 0;
    bool d_again = false;
    std::deque<Waiting> d_waiting; // frames whose header could not be read yet
    std::deque<Waiting> d_ready;   // whose header is known, in order; the first one is read now
    // I and Q that are not alike: x + image * conj(x) is received for x. Sums over the frames of late.
    cfloat d_image = 0;
    std::complex<double> d_squares = 0;
    double d_powers = 0, d_counted = 0;
    std::vector<cfloat> d_turned; // samples of one symbol
    FoundFrame d_frame;

    std::uint64_t d_found = 0, d_out = 0, d_recognised = 0, d_blanked = 0, d_skipped = 0;
};

} // namespace core
} // namespace diffsem
} // namespace gr
