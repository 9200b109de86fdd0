/*
 * SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Loops that run for every sample, compiled for wide vectors too; the loader takes what the machine has.
 */
#pragma once

// The sanitizers' start-up is not ready where the loader chooses.
#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__) && defined(__ELF__) &&         \
    !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
#if __GNUC__ >= 12
#define DIFFSEM_VECTOR_CLONES __attribute__((target_clones("arch=x86-64-v3", "default")))
#else
#define DIFFSEM_VECTOR_CLONES __attribute__((target_clones("avx2", "default")))
#endif
#else
#define DIFFSEM_VECTOR_CLONES
#endif
