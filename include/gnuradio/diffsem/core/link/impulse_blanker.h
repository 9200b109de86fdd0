/*
 * SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Takes impulses out of a stream of samples.
 */
#pragma once

#include <gnuradio/diffsem/core/base/types.h>

#include <cstddef>
#include <cstdint>
#include <deque>
#include <vector>

namespace gr {
namespace diffsem {
namespace core {

/*!
 * A sample far above those before it is an impulse if it is also far above those behind it; else a frame begins.
 * Impulses become 0, and where they were is kept. A run of up to a quarter of the window counts as impulses.
 * Samples go through at once, except that up to window of them wait behind one that may be an impulse.
 */
class ImpulseBlanker
{
public:
    static constexpr std::size_t window = 32; //!< samples that a suspicious one is compared with
    static constexpr float ratio = 16;        //!< 12 dB above the mean: 1e-7 of noise is

    //! Takes n finite samples, and appends to \p out what is ready.
    void run(const cfloat* samples, std::size_t n, std::vector<cfloat>& out);

    std::uint64_t blanked() const { return d_blanked; }
    //! How many of the samples [first, first + n) of the stream were blanked.
    int between(std::uint64_t first, std::size_t n) const;
    //! Forgets where those before \p first were.
    void forget(std::uint64_t first);

private:
    void decide(std::vector<cfloat>& out);

    float d_level = 0;          // mean power of late, large samples cut
    std::vector<cfloat> d_held; // the first of them is suspicious
    std::uint64_t d_done = 0;   // samples given out
    std::uint64_t d_blanked = 0;
    std::deque<std::uint64_t> d_at;
};

} // namespace core
} // namespace diffsem
} // namespace gr
