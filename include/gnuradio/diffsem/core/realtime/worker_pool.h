/*
 * SPDX-License-Identifier: GPL-3.0-or-later
 *
 * A few threads for slow work: bounded, in order, and nothing lost without a word.
 */
#pragma once

#include <condition_variable>
#include <cstddef>
#include <deque>
#include <functional>
#include <list>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

namespace gr {
namespace diffsem {
namespace core {

/*!
 * Jobs run on `workers` threads and are handed back in the order in which they were taken, whichever ends
 * first. No more than workers + waiting jobs are held at once, those that are done and wait for an earlier
 * one included. Every job that was taken comes back once: run, failed, or withdrawn.
 */
class WorkerPool
{
public:
    class Job
    {
    public:
        virtual ~Job() = default;
        //! worker: 0 .. workers - 1, which no two jobs have at one time. What it throws makes it a failed one.
        virtual void run(std::size_t worker) = 0;
    };
    /*!
     * Takes a job back; error says what it threw, and is empty if nothing. Called by the pool's threads, one
     * at a time. Must not throw, nor close the pool.
     */
    using Done = std::function<void(std::unique_ptr<Job> job, const std::string& error)>;

    //! Starts the threads; both counts are at least 1.
    WorkerPool(std::size_t workers, std::size_t waiting, Done done);
    ~WorkerPool(); //!< closes
    WorkerPool(const WorkerPool&) = delete;
    WorkerPool& operator=(const WorkerPool&) = delete;

    //! Never waits: false, and the job still the caller's, when the pool is full or closed.
    bool submit(std::unique_ptr<Job>& job);
    //! The oldest job that no thread has begun goes back to the caller, and not to `done`; null: there is none.
    std::unique_ptr<Job> withdraw();
    //! Jobs that no thread has begun.
    std::size_t waiting() const;
    //! Withdraws all that wait, lets the running ones end and hands them back; how many were withdrawn.
    std::size_t close();

private:
    struct Slot {
        std::unique_ptr<Job> job;
        std::string error;
        bool done = false;
    };
    using Slots = std::list<Slot>;

    void work(std::size_t worker);
    void hand_out(std::unique_lock<std::mutex>& lock);

    const std::size_t d_most;
    const Done d_done;
    mutable std::mutex d_mutex;
    std::condition_variable d_wake;
    Slots d_slots;                         // in order of submission
    std::deque<Slots::iterator> d_waiting; // of those, what no thread has begun
    bool d_handing_out = false, d_closed = false;
    std::vector<std::thread> d_threads;
};

} // namespace core
} // namespace diffsem
} // namespace gr
