/*
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#include "realtime/watchdog.h"

#include <algorithm>
#include <condition_variable>
#include <mutex>
#include <thread>
#include <utility>
#include <vector>

namespace gr {
namespace diffsem {
namespace core {

//! Lives while anything is watched, so that no thread is left at the end of the process.
class Watchdog
{
public:
    static std::shared_ptr<Watchdog> shared()
    {
        // Leaked on purpose: what other statics hold may outlive ours.
        static auto& mutex = *new std::mutex();
        static auto& last = *new std::weak_ptr<Watchdog>();
        const std::lock_guard<std::mutex> lock(mutex);
        auto dog = last.lock();
        if (!dog)
            last = dog = std::make_shared<Watchdog>();
        return dog;
    }

    Watchdog() : d_thread([this] { look_out(); }) {}
    ~Watchdog()
    {
        {
            const std::lock_guard<std::mutex> lock(d_mutex);
            d_halt = true;
        }
        d_wake.notify_one();
        d_thread.join();
    }

    void add(Watch* watch)
    {
        {
            const std::lock_guard<std::mutex> lock(d_mutex);
            d_watches.push_back(watch);
        }
        d_wake.notify_one(); // its limit may be the shortest
    }
    void remove(Watch* watch)
    {
        const std::lock_guard<std::mutex> lock(d_mutex);
        d_watches.erase(std::find(d_watches.begin(), d_watches.end(), watch));
    }
    //! Returns when no `end` is being called.
    void settle() { const std::lock_guard<std::mutex> lock(d_mutex); }

private:
    using clock = std::chrono::steady_clock;

    void look_out()
    {
        std::unique_lock<std::mutex> lock(d_mutex);
        while (!d_halt) {
            double pause = 1.0;
            for (const Watch* w : d_watches)
                pause = std::min(pause, w->seconds() / 10);
            d_wake.wait_for(lock, std::chrono::duration<double>(std::max(pause, 1e-3)));
            const auto now = clock::now();
            for (Watch* w : d_watches)
                look_at(*w, now);
        }
    }

    // The clock is read here only: a run is known by its number, and its time counts from when it was first seen.
    static void look_at(Watch& w, clock::time_point now)
    {
        auto state = w.d_state.load(std::memory_order_acquire);
        if (state != w.d_seen) {
            w.d_seen = state;
            w.d_since = now;
            return;
        }
        if (!(state & Watch::running) || state & Watch::ended ||
            std::chrono::duration<double>(now - w.d_since).count() < w.seconds())
            return;
        // Not if it came to its end meanwhile.
        if (w.d_state.compare_exchange_strong(state, state | Watch::ended))
            w.d_end();
    }

    std::mutex d_mutex;
    std::condition_variable d_wake;
    std::vector<Watch*> d_watches;
    bool d_halt = false;
    std::thread d_thread; // last: it uses all of the others
};

Watch::Watch(double seconds, std::function<void()> end) : d_seconds(seconds), d_end(std::move(end))
{
    if (!(d_seconds > 0))
        return;
    d_dog = Watchdog::shared();
    d_dog->add(this);
}

Watch::~Watch()
{
    if (d_dog)
        d_dog->remove(this);
}

bool Watch::finish()
{
    if (!(d_state.exchange(0, std::memory_order_acq_rel) & ended))
        return false;
    d_dog->settle();
    return true;
}

} // namespace core
} // namespace diffsem
} // namespace gr
