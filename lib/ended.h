/*
 * SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Will nothing more come? Private.
 */
#pragma once

#include <gnuradio/block.h>
#include <gnuradio/block_detail.h>
#include <gnuradio/buffer_reader.h>

namespace gr {
namespace diffsem {

//! Nothing waits at the block's first input, and nothing more comes. For blocks that keep items inside.
inline bool ended(const gr::block& block)
{
    const auto reader = block.detail()->input(0);
    gr::thread::scoped_lock guard(*reader->mutex());
    return reader->done() && reader->items_available() == 0;
}

} // namespace diffsem
} // namespace gr
