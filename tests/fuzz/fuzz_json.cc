/* SPDX-License-Identifier: GPL-3.0-or-later */
// What the parser takes it must write and take again, unchanged.
#include <gnuradio/diffsem/core/base/error.h>
#include <gnuradio/diffsem/core/base/json.h>

#include <cstdlib>

using namespace gr::diffsem::core;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size)
{
    Json value;
    try {
        value = Json::parse(std::string(reinterpret_cast<const char*>(data), size));
    } catch (const Error&) {
        return 0;
    }
    const std::string text = value.dump();
    if (Json::parse(text).dump() != text)
        std::abort();
    return 0;
}
