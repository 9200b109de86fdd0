/* SPDX-License-Identifier: GPL-3.0-or-later */
// A package folder of which only the manifest is hostile: search, checks, and the scheme made of it.
#include <gnuradio/diffsem/core/scheme/load_scheme.h>

#include "scheme/package.h"
#include "scratch.h"

using namespace gr::diffsem::core;

// The same file as make_corpus.py's, whose hash the manifests of the corpus hold.
static std::string unit_matrix()
{
    std::string header = "{'descr': '<f4', 'fortran_order': False, 'shape': (4, 4), }";
    while ((10 + header.size() + 1) % 64)
        header += ' ';
    header += '\n';
    std::string text = std::string("\x93NUMPY\x01\0", 8) + char(header.size() & 255) +
                       char(header.size() >> 8) + header;
    for (int i = 0; i < 16; i++)
        text += i % 5 == 0 ? std::string("\0\0\x80\x3f", 4) : std::string(4, '\0');
    return text;
}

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size)
{
    static const Scratch scratch;
    static const bool once = (scratch.write("covariance.npy", unit_matrix()), true);
    (void)once;
    scratch.write("manifest.json", std::string(reinterpret_cast<const char*>(data), size));
    try {
        Spec spec;
        spec.name = scratch.path("");
        const Package package = open_package(spec, LoadOptions());
        for (const auto& member : package.manifest["members"].members()) {
            const auto scheme = load_scheme(scratch.path(member.first), LoadOptions());
            (void)scheme->info().steps;
        }
    } catch (const Error&) {
    }
    return 0;
}
