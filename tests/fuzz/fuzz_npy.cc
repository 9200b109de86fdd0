/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <gnuradio/diffsem/core/base/error.h>
#include <gnuradio/diffsem/core/base/npy.h>

#include <cstdlib>

using namespace gr::diffsem::core;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size)
{
    try {
        const NpyArray a =
            parse_npy(std::string(reinterpret_cast<const char*>(data), size), "a.npy");
        std::size_t count = 1;
        for (const auto n : a.shape)
            count *= std::size_t(n);
        if (count != a.count())
            std::abort();
    } catch (const Error&) {
    }
    return 0;
}
