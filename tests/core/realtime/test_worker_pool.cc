/*
 * SPDX-License-Identifier: GPL-3.0-or-later
 *
 * The pool of workers: order, bounds, failures and its end. Run under the thread sanitizer as well (make tsan).
 */
#include "check.h"

#include <gnuradio/diffsem/core/realtime/worker_pool.h>

#include <atomic>
#include <chrono>
#include <future>
#include <random>
#include <stdexcept>
#include <vector>

using gr::diffsem::core::WorkerPool;
using std::chrono::milliseconds;

namespace {

//! Does what it is told; knows its number, and how many of its kind live.
class Task : public WorkerPool::Job
{
public:
    static inline std::atomic<int> alive{0};
    using Action = std::function<void(std::size_t)>;

    Task(int number, Action action) : number(number), d_action(std::move(action)) { alive++; }
    ~Task() override { alive--; }
    void run(std::size_t worker) override { d_action(worker); }

    const int number;

private:
    const Action d_action;
};

std::unique_ptr<WorkerPool::Job> task(int number, Task::Action action = [](std::size_t) {})
{
    return std::make_unique<Task>(number, std::move(action));
}

int number_of(const WorkerPool::Job& job)
{
    return static_cast<const Task&>(job).number;
}

//! What came back. The pool calls it from one thread at a time, so it has no lock: the thread sanitizer would see.
struct Results {
    std::vector<int> numbers;
    std::vector<std::string> errors;
    std::atomic<std::size_t> count{0};

    WorkerPool::Done taker()
    {
        return [this](std::unique_ptr<WorkerPool::Job> job, const std::string& error) {
            numbers.push_back(number_of(*job));
            errors.push_back(error);
            count++;
        };
    }
    bool wait_for(std::size_t n)
    {
        for (int i = 0; i < 5000 && count < n; i++)
            std::this_thread::sleep_for(milliseconds(1));
        return count == n;
    }
};

bool wait_until(const std::function<bool()>& holds)
{
    for (int i = 0; i < 5000 && !holds(); i++)
        std::this_thread::sleep_for(milliseconds(1));
    return holds();
}

//! Submits when there is room.
void insist(WorkerPool& pool, std::unique_ptr<WorkerPool::Job> job)
{
    while (!pool.submit(job))
        std::this_thread::sleep_for(milliseconds(1));
}

void order_under_random_durations()
{
    for (const std::size_t workers : {1, 4, 7}) {
        const int jobs = 150;
        std::mt19937 rng(5);
        std::vector<std::atomic<int>> busy(workers);
        std::atomic<int> shared{0};
        Results results;
        {
            WorkerPool pool(workers, 3, results.taker());
            for (int i = 0; i < jobs; i++) {
                const auto takes = std::chrono::microseconds(rng() % 1500);
                insist(pool, task(i, [&, takes](std::size_t worker) {
                           shared += ++busy.at(worker) != 1;
                           std::this_thread::sleep_for(takes);
                           busy[worker]--;
                       }));
            }
            CHECK(results.wait_for(jobs));
        }
        CHECK_EQUAL(shared, 0);
        for (int i = 0; i < jobs; i++)
            CHECK_EQUAL(results.numbers.at(i), i);
    }
    CHECK_EQUAL(Task::alive, 0);
}

void two_producers()
{
    const int each = 100;
    Results results;
    {
        WorkerPool pool(3, 2, results.taker());
        const auto produce = [&](int first) {
            for (int i = 0; i < each; i++)
                insist(pool, task(first + i));
        };
        std::thread other(produce, 1000);
        produce(0);
        other.join();
        CHECK(results.wait_for(2 * each));
    }
    int next[] = {0, 1000};
    for (const int n : results.numbers)
        CHECK_EQUAL(n, next[n / 1000]++);
}

void refuses_when_full()
{
    Results results;
    std::promise<void> gate;
    const auto opened = gate.get_future().share();
    std::atomic<int> begun{0};
    const auto blocked = [&, opened](std::size_t) {
        begun++;
        opened.wait();
    };
    WorkerPool pool(2, 3, results.taker());
    for (int i = 0; i < 5; i++) {
        auto job = task(i, blocked);
        CHECK(pool.submit(job));
        CHECK(!job);
    }
    auto job = task(5);
    CHECK(!pool.submit(job));
    CHECK(job && number_of(*job) == 5);
    CHECK(wait_until([&] { return begun == 2; }));
    CHECK_EQUAL(pool.waiting(), 3u);

    const auto oldest = pool.withdraw(); // of those that no thread has begun
    CHECK(oldest && number_of(*oldest) == 2);
    CHECK(pool.submit(job));
    CHECK_EQUAL(pool.waiting(), 3u);
    gate.set_value();
    CHECK(results.wait_for(5));
    const int expected[] = {0, 1, 3, 4, 5};
    for (std::size_t i = 0; i < 5; i++)
        CHECK_EQUAL(results.numbers.at(i), expected[i]);
    CHECK(!pool.withdraw());
}

//! Results that wait for an earlier one count: else one slow job would let them pile up.
void bounds_what_is_done_too()
{
    Results results;
    std::promise<void> gate;
    const auto opened = gate.get_future().share();
    std::atomic<int> quick{0};
    WorkerPool pool(2, 2, results.taker());
    auto slow = task(0, [opened](std::size_t) { opened.wait(); });
    CHECK(pool.submit(slow));
    for (int i = 1; i < 4; i++) {
        auto job = task(i, [&](std::size_t) { quick++; });
        CHECK(pool.submit(job));
    }
    CHECK(wait_until([&] { return quick == 3; }));
    auto job = task(4);
    CHECK(!pool.submit(job));
    CHECK(!pool.withdraw());
    CHECK_EQUAL(results.count, 0u);
    gate.set_value();
    CHECK(results.wait_for(4));
    insist(pool, std::move(job));
    CHECK(results.wait_for(5));
}

void failures_are_results()
{
    Results results;
    WorkerPool pool(2, 4, results.taker());
    for (int i = 0; i < 40; i++)
        insist(pool, task(i, [i](std::size_t) {
                   if (i % 4 == 1)
                       throw std::runtime_error("broken " + std::to_string(i));
                   if (i % 4 == 2)
                       throw i;
                   if (i % 4 == 3)
                       throw std::runtime_error("");
               }));
    CHECK(results.wait_for(40));
    for (int i = 0; i < 40; i++) {
        CHECK_EQUAL(results.numbers.at(i), i);
        const std::string& error = results.errors.at(i);
        CHECK_EQUAL(error.empty(), i % 4 == 0);
        if (i % 4 == 1)
            CHECK_EQUAL(error, "broken " + std::to_string(i));
    }
}

void ends_with_jobs_waiting()
{
    using clock = std::chrono::steady_clock;
    for (const bool destroyed : {false, true}) {
        Results results;
        std::atomic<int> begun{0};
        const auto slow = [&](std::size_t) {
            begun++;
            std::this_thread::sleep_for(milliseconds(50));
        };
        const auto started = clock::now();
        {
            WorkerPool pool(2, 60, results.taker());
            for (int i = 0; i < 60; i++) {
                auto job = task(i, slow);
                CHECK(pool.submit(job));
            }
            CHECK(wait_until([&] { return begun >= 2; }));
            if (!destroyed) {
                const std::size_t withdrawn = pool.close();
                CHECK_EQUAL(withdrawn + results.count, 60u);
                auto job = task(99);
                CHECK(!pool.submit(job));
                CHECK_EQUAL(pool.close(), 0u);
            }
        }
        CHECK_BELOW(std::chrono::duration<double>(clock::now() - started).count(), 1.0);
        CHECK_EQUAL(int(results.count), begun); // all that ran came back, in order
        for (std::size_t i = 0; i < results.numbers.size(); i++)
            CHECK_EQUAL(results.numbers[i], int(i));
        CHECK_EQUAL(Task::alive, 0);
    }
}

void ends_without_work()
{
    for (int i = 0; i < 50; i++) {
        Results results;
        WorkerPool pool(3, 1, results.taker());
    }
}

} // namespace

int main()
{
    order_under_random_durations();
    two_producers();
    refuses_when_full();
    bounds_what_is_done_too();
    failures_are_results();
    ends_with_jobs_waiting();
    ends_without_work();
    return check::result("worker_pool");
}
