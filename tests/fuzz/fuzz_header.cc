/* SPDX-License-Identifier: GPL-3.0-or-later */
// Soft bits of frame headers, one after the other, whatever the samples were: each two octets of the input are
// the upper half of a float, so that infinities, NaN and denormals are as likely as numbers.
#include <gnuradio/diffsem/core/link/frame_header.h>

#include <cstdlib>
#include <cstring>

using namespace gr::diffsem::core;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size)
{
    HeaderTracker tracker(50);
    HeaderSoftBits soft;
    for (; size >= 2 * soft.size(); size -= 2 * soft.size()) {
        for (float& bit : soft) {
            const std::uint32_t bits = std::uint32_t(data[0]) << 24 | std::uint32_t(data[1]) << 16;
            std::memcpy(&bit, &bits, sizeof bit);
            data += 2;
        }
        FrameHeader header;
        bool expected = false;
        if (!tracker.decode(soft, header, expected))
            continue;
        tracker.code().modulate(header); // throws if it does not fit
        if (header.payload_symbols(50) < 1)
            std::abort();
    }
    return 0;
}
