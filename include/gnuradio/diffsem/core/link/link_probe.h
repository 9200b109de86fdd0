/*
 * SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Why no frame is found: the sender may be set up otherwise than this receiver.
 */
#pragma once

#include <gnuradio/diffsem/core/link/frame_finder.h>

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace gr {
namespace diffsem {
namespace core {

/*!
 * Where no frame has come for long, takes a stretch of some frames and looks for frames as they would be with other
 * settings: mirrored (I and Q swapped), another cyclic prefix, two or three times the rate or a half or third of it. A
 * header that decodes then is no chance. For any other ratio of rates only the lag after which samples repeat speaks.
 * Only what repeats after a symbol's length is looked at, which noise does not, and looks are ever further apart, up to
 * four million samples: they take a small part of what the search itself does.
 */
class LinkProbe
{
public:
    LinkProbe(const FrameLayout& layout, float max_offset, FrameFinder::Dft dft);

    //! Takes n samples as they were received, and how many frames were found so far.
    void take(const cfloat* samples, std::size_t n, std::uint64_t frames);
    //! No sample follows: a recording of few frames is looked at too.
    void end();
    //! What the sender's setting is, in a sentence with a remedy; "" if nothing is known, or frames come.
    const std::string& hint() const { return d_hint; }

    //! Samples without a frame before the first look, which are looked at; as many each time.
    std::size_t stretch() const { return d_stretch; }

private:
    std::string look() const;
    int repeats_after() const;
    int prefix() const;
    bool finds(const FrameLayout& layout, const std::vector<cfloat>& samples) const;

    const FrameLayout d_layout;
    const float d_max_offset;
    const FrameFinder::Dft d_dft;
    const std::size_t d_stretch;
    std::vector<cfloat> d_samples;
    std::uint64_t d_frames = 0, d_silent = 0, d_next;
    std::string d_hint;
};

} // namespace core
} // namespace diffsem
} // namespace gr
