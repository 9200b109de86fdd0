/*
 * SPDX-License-Identifier: GPL-3.0-or-later
 *
 * A very small test harness: checks are counted, failures printed with what was found, and the
 * program's exit status says whether there were any.
 */
#pragma once

#include <cmath>
#include <cstdio>
#include <exception>
#include <sstream>
#include <string>

namespace check {

inline int passed = 0, failed = 0;

inline bool report(bool ok, const char* file, int line, const std::string& what)
{
    ok ? passed++ : failed++;
    if (!ok)
        std::printf("%s:%d: FAILED: %s\n", file, line, what.c_str());
    return ok;
}

template <typename A, typename B>
bool equal(const A& a, const B& b, const char* text, const char* file, int line)
{
    std::ostringstream s;
    s << text << ": " << a << " != " << b;
    return report(a == b, file, line, s.str());
}

inline bool near(double a, double b, double tolerance, const char* text, const char* file, int line)
{
    std::ostringstream s;
    s.precision(9);
    s << text << ": " << a << " is not within " << tolerance << " of " << b;
    return report(std::fabs(a - b) <= tolerance, file, line, s.str()); // NaN fails
}

inline bool below(double a, double limit, const char* text, const char* file, int line)
{
    std::ostringstream s;
    s.precision(9);
    s << text << ": " << a << " is not below " << limit;
    return report(a < limit, file, line, s.str());
}

//! The action must throw a message that holds every one of the parts.
template <typename F>
bool throws(F action, std::initializer_list<const char*> parts, const char* file, int line)
{
    try {
        action();
    } catch (const std::exception& e) {
        const std::string message = e.what();
        bool all = true;
        for (const char* part : parts)
            all = report(message.find(part) != std::string::npos,
                         file,
                         line,
                         "'" + std::string(part) + "' is not in the message: " + message) &&
                  all;
        return all;
    }
    return report(false, file, line, "nothing was thrown");
}

inline int result(const char* name)
{
    std::printf("%s: %d checks passed, %d failed\n", name, passed, failed);
    return failed || !passed ? 1 : 0;
}

} // namespace check

#define CHECK(condition) check::report(condition, __FILE__, __LINE__, #condition)
#define CHECK_EQUAL(a, b) check::equal(a, b, #a, __FILE__, __LINE__)
#define CHECK_NEAR(a, b, tolerance) check::near(a, b, tolerance, #a, __FILE__, __LINE__)
#define CHECK_BELOW(a, limit) check::below(a, limit, #a, __FILE__, __LINE__)
#define CHECK_THROWS(action, ...) check::throws([&] { action; }, __VA_ARGS__, __FILE__, __LINE__)
