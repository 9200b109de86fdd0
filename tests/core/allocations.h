/*
 * SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Counts what each thread takes from the heap, whoever asks for it. For one source file of a program.
 */
#pragma once

#include <cerrno>
#include <cstddef>
#include <cstdlib>

namespace {
[[maybe_unused]] thread_local long allocations = 0; // a test may ask for it only where it counts
}

// The sanitizers have their own malloc, so there nothing is counted.
#if defined(__GLIBC__) && !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
#define COUNTS_ALLOCATIONS
extern "C" {
void* __libc_malloc(std::size_t);
void* __libc_calloc(std::size_t, std::size_t);
void* __libc_realloc(void*, std::size_t);
void* __libc_memalign(std::size_t, std::size_t);

void* malloc(std::size_t bytes) noexcept // operator new comes here too
{
    allocations++;
    return __libc_malloc(bytes);
}
void* calloc(std::size_t count, std::size_t bytes) noexcept
{
    allocations++;
    return __libc_calloc(count, bytes);
}
void* realloc(void* old, std::size_t bytes) noexcept
{
    allocations++;
    return __libc_realloc(old, bytes);
}
void* aligned_alloc(std::size_t alignment, std::size_t bytes) noexcept
{
    allocations++;
    return __libc_memalign(alignment, bytes);
}
void* memalign(std::size_t alignment, std::size_t bytes) noexcept
{
    allocations++;
    return __libc_memalign(alignment, bytes);
}
int posix_memalign(void** memory, std::size_t alignment, std::size_t bytes) noexcept
{
    allocations++;
    void* taken = __libc_memalign(alignment, bytes);
    if (!taken)
        return ENOMEM;
    *memory = taken;
    return 0;
}
}
#endif
