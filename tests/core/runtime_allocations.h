/*
 * SPDX-License-Identifier: GPL-3.0-or-later
 *
 * What ONNX Runtime takes from the heap while it runs a graph is its own affair, and counted apart: its table of
 * functions gets another Run.
 */
#pragma once

#include "allocations.h"
#include "onnx/ort_library.h"

#include <cstddef>

namespace {

thread_local long of_the_runtime = 0; // of `allocations`
OrtApi counting_api;
decltype(OrtApi::Run) real_run = nullptr;

OrtStatus* ORT_API_CALL counting_run(::OrtSession* session,
                                     const OrtRunOptions* options,
                                     const char* const* in_names,
                                     const OrtValue* const* in,
                                     std::size_t ins,
                                     const char* const* out_names,
                                     std::size_t outs,
                                     OrtValue** out) NO_EXCEPTION
{
    const long before = allocations;
    OrtStatus* status = real_run(session, options, in_names, in, ins, out_names, outs, out);
    of_the_runtime += allocations - before;
    return status;
}

//! Before the first session is made.
void count_runtime_apart()
{
    auto& ort = const_cast<gr::diffsem::core::LoadedOrt&>(gr::diffsem::core::load_onnxruntime(""));
    counting_api = *ort.api;
    real_run = counting_api.Run;
    counting_api.Run = counting_run;
    ort.api = &counting_api;
}

//! So far, of this thread.
long allocations_of_ours()
{
    return allocations - of_the_runtime;
}

} // namespace
