/*
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#pragma once

#include <gnuradio/block.h>
#include <gnuradio/diffsem/api.h>

namespace gr {
namespace diffsem {

/*!
 * \brief Makes the thread of a block give way to the others (Linux).
 *
 * \details
 * For a block that polls: gr-digital's `header_payload_demux` asks again and again while a header is decoded, and on a
 * full processor takes from the blocks that it waits for as much time as they need. GNU Radio's own
 * `set_thread_priority` needs real-time scheduling and the right to it; this needs neither.
 *
 * Call it before `start()`, and again before each restart. Other programs, too, come before a block that gives way: on a
 * machine that they keep busy it may be served too late.
 *
 * \param block any but a hier block; of that, one of its parts. It gets a message port `diffsem_nice`, so that it can be
 *              told in its own thread.
 * \param nice  1 .. 19: how much it gives way, 19 most
 * \throws core::Error (ValueError in Python) naming the parameter: nice is out of range, or the block was started before
 */
DIFFSEM_API void set_nice(const gr::block_sptr& block, int nice = 19);

} // namespace diffsem
} // namespace gr
