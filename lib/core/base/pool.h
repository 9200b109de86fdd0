/*
 * SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Run state that an immutable, shared object lends to whoever calls it.
 */
#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <mutex>
#include <utility>
#include <vector>

namespace gr {
namespace diffsem {
namespace core {

//! Buffers for callers of any thread. take() makes one only where more callers run at once than were reserved for.
template <typename T>
class Pool
{
public:
    explicit Pool(std::function<std::unique_ptr<T>()> make) : d_make(std::move(make)) {}

    //! Gives what it holds back to its pool when it goes.
    class Loan
    {
    public:
        Loan(Pool& pool, std::unique_ptr<T> value) : d_pool(pool), d_value(std::move(value)) {}
        ~Loan() { d_pool.give(std::move(d_value)); }
        Loan(const Loan&) = delete;
        Loan& operator=(const Loan&) = delete;
        T& operator*() { return *d_value; }
        T* operator->() { return d_value.get(); }

    private:
        Pool& d_pool;
        std::unique_ptr<T> d_value;
    };

    Loan take()
    {
        {
            std::lock_guard<std::mutex> lock(d_mutex);
            if (!d_free.empty()) {
                auto value = std::move(d_free.back());
                d_free.pop_back();
                return Loan(*this, std::move(value));
            }
        }
        auto value = d_make();
        std::lock_guard<std::mutex> lock(d_mutex);
        d_free.reserve(++d_made); // so that giving it back never allocates
        return Loan(*this, std::move(value));
    }
    //! As many callers at once find their buffers made.
    void reserve(std::size_t callers)
    {
        std::lock_guard<std::mutex> lock(d_mutex);
        d_free.reserve(callers);
        for (; d_made < callers; d_made++)
            d_free.push_back(d_make());
    }

private:
    void give(std::unique_ptr<T> value)
    {
        std::lock_guard<std::mutex> lock(d_mutex);
        d_free.push_back(std::move(value));
    }

    std::function<std::unique_ptr<T>()> d_make;
    std::mutex d_mutex;
    std::vector<std::unique_ptr<T>> d_free;
    std::size_t d_made = 0;
};

} // namespace core
} // namespace diffsem
} // namespace gr
