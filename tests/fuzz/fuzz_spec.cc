/* SPDX-License-Identifier: GPL-3.0-or-later */
// The string that names a scheme; it comes from flowgraphs and messages.
#include <gnuradio/diffsem/core/scheme/load_scheme.h>

#include "scheme/package.h"

using namespace gr::diffsem::core;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size)
{
    const std::string text(reinterpret_cast<const char*>(data), size);
    try {
        const Spec spec = parse_spec(text);
        if (spec.name == "ls" || spec.name == "linear")
            (void)load_scheme(text, LoadOptions());
    } catch (const Error&) {
    }
    return 0;
}
