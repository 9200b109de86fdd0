/*
 * SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Puts another model beside the running one: made in a thread of its own (or the caller's), taken between two calls
 * of work(), the old one destroyed where it delays nobody. Private.
 */
#pragma once

#include "inference_ledger.h"

#include <gnuradio/diffsem/scheme.h>

#include <atomic>
#include <condition_variable>
#include <exception>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <thread>

#ifdef __GLIBC__
#include <malloc.h>
#endif

namespace gr {
namespace diffsem {

//! What a destroyed model leaves is in pieces that malloc keeps, more with each swap; none here is in a hurry.
inline void give_back_memory()
{
#ifdef __GLIBC__
    ::malloc_trim(0);
#endif
}

template <typename Made>
class scheme_swap
{
public:
    using maker = std::function<std::unique_ptr<Made>()>;
    using failure = std::function<void(const std::string& reason)>;

    ~scheme_swap()
    {
        {
            std::lock_guard<std::mutex> lock(d_mutex);
            d_stop = true;
        }
        d_wake.notify_all();
        if (d_thread.joinable())
            d_thread.join();
    }

    //! Made in the background; of several requests only the last one waits for its turn.
    void request(maker make, failure failed)
    {
        std::lock_guard<std::mutex> lock(d_mutex);
        d_make = std::move(make);
        d_failed = std::move(failed);
        start();
    }

    //! Already made: waits for work().
    void offer(std::unique_ptr<Made> made)
    {
        std::unique_lock<std::mutex> lock(d_mutex);
        d_next.swap(made);
        d_ready = true;
        start();       // for the one that it replaces
        lock.unlock(); // before one that never ran is destroyed
    }

    bool ready() const { return d_ready.load(std::memory_order_relaxed); }

    //! In work(): what has been made, or null. retire() takes what it replaces.
    std::unique_ptr<Made> take()
    {
        std::unique_lock<std::mutex> lock(d_mutex, std::try_to_lock);
        if (!lock)
            return nullptr; // at the next call
        d_ready = false;
        return std::move(d_next);
    }
    void retire(std::unique_ptr<Made> old)
    {
        std::lock_guard<std::mutex> lock(d_mutex);
        d_old = std::move(old);
        d_wake.notify_all();
    }

private:
    void start()
    {
        if (!d_thread.joinable())
            d_thread = std::thread([this] { run(); });
        d_wake.notify_all();
    }

    void run()
    {
        std::unique_lock<std::mutex> lock(d_mutex);
        while (!d_stop) {
            if (auto old = std::move(d_old)) {
                lock.unlock();
                old.reset();
                give_back_memory();
                lock.lock();
                continue;
            }
            if (d_make) {
                auto make = std::move(d_make);
                auto failed = std::move(d_failed);
                d_make = nullptr;
                lock.unlock();
                std::unique_ptr<Made> made;
                try {
                    made = make();
                } catch (const std::exception& error) {
                    failed(error.what());
                }
                make = nullptr;
                lock.lock();
                if (made) {
                    d_next.swap(made);
                    d_ready = true;
                }
                lock.unlock();
                made.reset(); // one that never ran
                lock.lock();
                continue;
            }
            d_wake.wait(lock);
        }
    }

    std::mutex d_mutex;
    std::condition_variable d_wake;
    std::thread d_thread;
    bool d_stop = false;
    std::atomic<bool> d_ready{false};
    maker d_make;
    failure d_failed;
    std::unique_ptr<Made> d_next, d_old;
};

//! A stranger's text, for the log: its beginning.
inline std::string cut(const std::string& text, std::size_t most)
{
    return text.size() > most
               ? text.substr(0, most) + "... (" + std::to_string(text.size()) + " characters)"
               : text;
}

//! What a message on a port asks for by a name: loaded in the background; on failure all stays, and is said.
template <typename Made, typename MakerOf>
void request_named(scheme_swap<Made>& swap,
                   inference_ledger& ledger,
                   const gr::logger_ptr& logger,
                   const std::string& port,
                   const pmt::pmt_t& message,
                   MakerOf maker_of)
{
    const std::string name = scheme_of(message);
    if (name.empty()) {
        ledger.event(
            "swap_failed", "", "the message on port " + port + " names none: send a symbol");
        return;
    }
    swap.request(maker_of(name), [&ledger, logger, port, name](const std::string& reason) {
        const std::string why = cut(reason, 1000);
        logger->error("{}; the running {} stays", why, port);
        ledger.event("swap_failed", cut(name, 200), why);
    });
}

} // namespace diffsem
} // namespace gr
