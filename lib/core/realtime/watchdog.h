/*
 * SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Ends what takes too long. One thread of the process looks at all that is watched, a few times in each
 * limit; what is watched pays two atomic operations for each run.
 */
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>

namespace gr {
namespace diffsem {
namespace core {

class Watchdog;

class Watch
{
public:
    /*!
     * \param seconds of one run, counted to within a fifth; 0: no limit
     * \param end     called by the watchdog's thread, at most once in a run; must not block
     */
    Watch(double seconds, std::function<void()> end);
    ~Watch();
    Watch(const Watch&) = delete;
    Watch& operator=(const Watch&) = delete;

    void begin() { d_state.store((d_run += 4) | running, std::memory_order_release); }
    //! After a run: true if `end` was called in it; it has then returned.
    bool finish();
    double seconds() const { return d_seconds; }

private:
    friend class Watchdog;
    static constexpr std::uint64_t running = 1, ended = 2;

    const double d_seconds;
    const std::function<void()> d_end;
    std::uint64_t d_run = 0;               // counts by 4, above the two flags
    std::atomic<std::uint64_t> d_state{0}; // the run's number and its flags; 0 between runs
    std::shared_ptr<Watchdog> d_dog;       // none without a limit

    // the watchdog's own
    std::uint64_t d_seen = 0;
    std::chrono::steady_clock::time_point d_since;
};

} // namespace core
} // namespace diffsem
} // namespace gr
