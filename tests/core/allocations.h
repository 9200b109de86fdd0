/*
 * SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Counts every malloc of the program, whoever calls it. For one source file of a test.
 */
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdlib>

namespace {
std::atomic<long> allocations{0};
}

// The sanitizers have their own malloc, so there nothing is counted.
#if defined(__GLIBC__) && !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
#define COUNTS_ALLOCATIONS
extern "C" {
void* __libc_malloc(std::size_t);
void* malloc(std::size_t bytes)
{
    allocations++;
    return __libc_malloc(bytes);
}
}
#endif
