/*
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#include <gnuradio/diffsem/core/realtime/worker_pool.h>

#include <exception>
#include <iterator>
#include <utility>
#include <vector>

namespace gr {
namespace diffsem {
namespace core {

WorkerPool::WorkerPool(std::size_t workers, std::size_t waiting, Done done)
    : d_most(workers + waiting),
      d_done(std::move(done))
{
    try {
        for (std::size_t i = 0; i < workers; i++)
            d_threads.emplace_back([this, i] { work(i); });
    } catch (...) { // the system has no more threads
        close();
        throw;
    }
}

WorkerPool::~WorkerPool()
{
    close();
}

bool WorkerPool::submit(std::unique_ptr<Job>& job)
{
    {
        const std::lock_guard<std::mutex> lock(d_mutex);
        if (d_closed || d_slots.size() >= d_most)
            return false;
        d_slots.emplace_back();
        d_slots.back().job = std::move(job);
        d_waiting.push_back(std::prev(d_slots.end()));
    }
    d_wake.notify_one();
    return true;
}

std::unique_ptr<WorkerPool::Job> WorkerPool::withdraw()
{
    const std::lock_guard<std::mutex> lock(d_mutex);
    if (d_waiting.empty())
        return nullptr;
    const auto slot = d_waiting.front();
    d_waiting.pop_front();
    auto job = std::move(slot->job);
    d_slots.erase(slot);
    return job;
}

std::size_t WorkerPool::waiting() const
{
    const std::lock_guard<std::mutex> lock(d_mutex);
    return d_waiting.size();
}

std::size_t WorkerPool::close()
{
    std::vector<std::unique_ptr<Job>> withdrawn; // die outside the lock
    {
        const std::lock_guard<std::mutex> lock(d_mutex);
        d_closed = true;
        for (const auto slot : d_waiting) {
            withdrawn.push_back(std::move(slot->job));
            d_slots.erase(slot);
        }
        d_waiting.clear();
    }
    d_wake.notify_all();
    for (auto& thread : d_threads)
        thread.join();
    d_threads.clear();
    return withdrawn.size();
}

void WorkerPool::work(std::size_t worker)
{
    std::unique_lock<std::mutex> lock(d_mutex);
    for (;;) {
        d_wake.wait(lock, [this] { return d_closed || !d_waiting.empty(); });
        if (d_waiting.empty())
            return;
        const auto slot = d_waiting.front();
        d_waiting.pop_front();
        lock.unlock();
        std::string error;
        try {
            slot->job->run(worker);
        } catch (const std::exception& e) {
            error = *e.what() ? e.what() : "an exception without a word";
        } catch (...) {
            error = "an exception that is no std::exception";
        }
        lock.lock();
        slot->error = std::move(error);
        slot->done = true;
        hand_out(lock);
    }
}

// Whoever ends the oldest job hands out all that waited for it; a thread that ends one meanwhile leaves it to him.
void WorkerPool::hand_out(std::unique_lock<std::mutex>& lock)
{
    if (d_handing_out)
        return;
    d_handing_out = true;
    while (!d_slots.empty() && d_slots.front().done) {
        Slot slot = std::move(d_slots.front());
        lock.unlock();
        d_done(std::move(slot.job), slot.error);
        lock.lock();
        d_slots.pop_front(); // until now it counted
    }
    d_handing_out = false;
}

} // namespace core
} // namespace diffsem
} // namespace gr
