/*
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#pragma once

#include <gnuradio/diffsem/core/base/error.h>

#include <cstdio>
#include <string>

inline int failures = 0, checks = 0;

inline void check(bool ok, const std::string& what, const char* file, int line)
{
    ++checks;
    if (ok)
        return;
    ++failures;
    std::fprintf(stderr, "%s:%d: %s\n", file, line, what.c_str());
}

#define CHECK(condition) check((condition), #condition, __FILE__, __LINE__)
#define CHECK_MSG(condition, message) check((condition), (message), __FILE__, __LINE__)

//! The expression throws Error, and its message holds `part`.
#define CHECK_THROWS(expression, part)                                                             \
    do {                                                                                           \
        std::string said = "nothing was thrown";                                                   \
        bool threw = false;                                                                        \
        try {                                                                                      \
            (void)(expression);                                                                    \
        } catch (const gr::diffsem::core::Error& e) {                                              \
            threw = true;                                                                          \
            said = e.what();                                                                       \
        }                                                                                          \
        check(threw&& said.find(part) != std::string::npos,                                        \
              std::string("'") + (part) + "' expected in: " + said,                                \
              __FILE__,                                                                            \
              __LINE__);                                                                           \
    } while (0)

inline std::string data_file(const std::string& name)
{
    return std::string(DIFFSEM_TEST_DATA_DIR) + "/" + name;
}

inline int report(const char* name)
{
    std::printf("%s: %d checks, %d failures\n", name, checks, failures);
    return failures ? 1 : 0;
}
