/*
 * SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Loads the one scheme that needs no model, through the installed headers and library.
 */
#include <gnuradio/diffsem/scheme.h>

#include <cstdio>

int main()
{
    const auto scheme = gr::diffsem::scheme::make("ls")->get();
    std::printf("consumer: loaded '%s'\n", scheme->info().spec.c_str());
    return scheme->info().spec == "ls" ? 0 : 1;
}
