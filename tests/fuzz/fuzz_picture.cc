/* SPDX-License-Identifier: GPL-3.0-or-later */
// The digital part of a photograph, behind the code's CRC, which a stranger can compute too.
#include <gnuradio/diffsem/core/base/error.h>
#include <gnuradio/diffsem/core/link/range_coder.h>
#include <gnuradio/diffsem/core/picture/picture_plan.h>

#include <cstdlib>
#include <vector>

using namespace gr::diffsem::core;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size)
{
    // The work that grows with the picture is the same for a small one, so that a large one is every 64th.
    const std::size_t most = size % 64 ? 1 << 12 : 1 << 18;
    RangeDecoder decoder(data, size);
    decoder.bits(8);
    const std::size_t rows = std::size_t(decoder.bits(12)) + 1;
    if (rows * (std::size_t(decoder.bits(12)) + 1) > most)
        return 0;
    try {
        const PicturePlan plan = PicturePlan::parse(data, size);
        const std::size_t values = 3 * plan.rows * plan.columns;
        if (values > (1 << 12) || plan.n_symbols > (1 << 12))
            return 0;
        if (plan.variances().size() != values)
            std::abort();
        const std::vector<std::complex<float>> symbols(plan.n_symbols, {0.5f, -0.5f});
        const std::vector<float> noise_var(plan.n_symbols, 0.1f);
        if (plan.measurement(symbols.data(), noise_var.data()).y.size() != values)
            std::abort();
    } catch (const Error&) {
    }
    return 0;
}
