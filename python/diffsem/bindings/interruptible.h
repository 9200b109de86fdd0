/*
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#pragma once

#include "bindings.h"

#include <gnuradio/diffsem/core/infer/estimator.h>

#include <chrono>

namespace gr {
namespace diffsem {

/*!
 * Ctrl-C while an estimate runs without Python's lock. Made with the lock held, asked for the limit of the run, and asked to
 * raise when the lock is held again. One at a time in a thread.
 */
class interruptible
{
public:
    interruptible()
    {
        s_stopped = false;
        s_next = {};
    }
    core::RunLimit limit() const
    {
        core::RunLimit limit;
        limit.stop = look;
        return limit;
    }
    bool stopped() const { return s_stopped; } //!< what was computed is not to be used
    //! KeyboardInterrupt, or what else a handler raised.
    void raise() const
    {
        if (s_stopped)
            throw py::error_already_set();
    }

private:
    static bool look()
    {
        constexpr auto every = std::chrono::milliseconds(50);
        const auto now = std::chrono::steady_clock::now();
        if (s_stopped || now < s_next)
            return s_stopped;
        s_next = now + every;
        py::gil_scoped_acquire lock;
        s_stopped = PyErr_CheckSignals() != 0;
        return s_stopped;
    }

    static inline thread_local bool s_stopped = false;
    static inline thread_local std::chrono::steady_clock::time_point s_next;
};

} // namespace diffsem
} // namespace gr
