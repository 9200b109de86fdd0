/*
 * SPDX-License-Identifier: GPL-3.0-or-later
 *
 * What stands in front of a block: the buffers from where samples enter the flowgraph down to its input. Private.
 */
#pragma once

#include <gnuradio/block.h>
#include <gnuradio/buffer_reader.h>

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace gr {
namespace diffsem {

/*!
 * Samples enter at a source, or at a throttle, because a simulation's do. From there a route of buffers leads here; where a block
 * has several inputs, its first that leads to a source. Of several sources the one counts whose buffer is emptiest: the others
 * (an oscillator, noise) give as much as they are asked for.
 *
 * For the thread of the block; buffers are read under their own mutex.
 */
class upstream
{
public:
    //! Before the block runs: it and all in front of it have their buffers.
    void find(gr::block& block);
    void forget() { d_hops.clear(); }

    //! Samples, as counted where they enter.
    struct view {
        double entered = 0;
        double behind = 0; //!< of these, not yet in the block's own input
        double here = 0;   //!< of these, in it
    };
    view look();

    //! Why there is no room where samples enter.
    enum class jam {
        none, //!< there is
        here, //!< the block's own input is full
        front //!< a block in front is full, and stood still since the last look: it waits for an answer of this one
    };
    jam find_jam() const;

    //! The block where samples enter.
    std::string from() const;
    //! Nothing waits before it that is not counted, as PDUs do.
    bool whole() const;

private:
    //! A buffer on the way, seen from the block that reads it.
    struct hop {
        gr::buffer_reader_sptr reader;
        int next;          //!< index of the one that it leads to; -1: it is the block's own input
        bool enters;       //!< samples enter here
        double fill = 0;   //!< mean, if so
        uint64_t read = 0; //!< items, at the last look
    };
    void walk(gr::block& block, int next, std::vector<const gr::block*>& seen);

    std::vector<hop> d_hops;
    std::size_t d_entry = 0; // of them, the one that counts
};

} // namespace diffsem
} // namespace gr
