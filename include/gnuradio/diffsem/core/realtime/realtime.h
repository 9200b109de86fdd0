/*
 * SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Inference against the clock: what an evaluation costs, since when an item waits, and what of the
 * plan still fits before the deadline. Times are seconds of any steady clock; nothing here reads one.
 */
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace gr {
namespace diffsem {
namespace core {

//! What happens to items that cannot be inferred in time.
enum class Overload {
    wait,        //!< nothing: they come late (offline: upstream is held back)
    fewer_steps, //!< the plan is cut to what fits; where not one evaluation does, as bypass
    bypass,      //!< the classical estimate passes, marked
    drop         //!< they go no further, and are counted
};
/*!
 * Throws Error naming the parameter `overload` and the choices.
 * \param no_drop why `drop` is not offered; null: it is
 */
Overload
parse_overload(const std::string& name, const char* no_drop = nullptr, bool has_steps = true);
const char* overload_name(Overload overload);

/*!
 * Time of one evaluation of a batch: a part for each batch and one for each item in it, a line through the last runs
 * (Theil 1950, Sen 1968: the median of the slopes, so that a few late runs do not bend it), raised to where nine of ten
 * runs keep the promise.
 */
class CostModel
{
public:
    //! So many items took so many evaluations each, together; 0 evaluations or items say nothing.
    void add(double seconds, double evaluations, double items = 1);
    //! Of one evaluation of so many items; 0: nothing known yet.
    double seconds(double items = 1) const { return per_batch() + per_item() * items; }
    double per_batch() const { return d_raise * d_batch; }
    double per_item() const { return d_raise * d_item; }
    void clear() { *this = CostModel(); }

private:
    struct Run {
        double items, seconds;
    };
    void fit(std::size_t count);
    std::array<Run, 32> d_recent{};
    std::size_t d_count = 0;
    double d_batch = 0, d_item = 0, d_raise = 0;
};

//! Since when the items wait that wait. Bounded: what comes beyond takes the newest group's time.
class Arrivals
{
public:
    struct Group {
        std::uint64_t end; //!< index behind its last item
        double time;
    };
    explicit Arrivals(std::size_t groups = 256);
    //! Items [first, end) wait; those not seen before do since then, but never longer than those before them.
    void see(std::uint64_t first, std::uint64_t end, double since);
    //! Index behind the last item ever seen.
    std::uint64_t seen() const { return d_seen; }
    //! So many more, behind all those, wait where they are not seen, this long. Until the next see().
    void expect(std::uint64_t more, double since);
    //! Of an item that was seen.
    double time(std::uint64_t index) const;
    std::size_t groups() const { return d_count + d_expected; } //!< expected ones too
    bool expects() const { return d_expected > 0; }
    const Group& group(std::size_t i) const { return d_ring[(d_head + i) % d_ring.size()]; }

private:
    std::vector<Group> d_ring;
    std::size_t d_head = 0, d_count = 0, d_expected = 0;
    std::uint64_t d_seen = 0;
    double d_last = 0; // time of the newest group
};

/*!
 * Decides, before each call, how many of the waiting items are taken and what each may cost.
 *
 * Items are served in order, in batches, with the same number of evaluations: the most with
 * which every waiting item, in its turn, is ready within the deadline after its arrival. Where none
 * is enough, as many of the oldest are given up as the others need. A tenth of the deadline is kept back, for what
 * the machine's scheduler adds; a call is planned for a half of it at most, so that what comes meanwhile is seen in time.
 * Items that wait further up, and are only expected, count like those that are seen, but come as few at once as those that are,
 * and after each call something else has to be done, which cuts evaluations but gives no item up.
 *
 * A source that finds no room is held back, or loses samples. So items get a smaller and smaller share of their time
 * and of their evaluations while that is so, and a larger one again while it is not: the source is held back half of
 * the time at most, and catches up in the rest.
 *
 * Without a deadline a call is planned for a tenth of a second, so that a flowgraph stops promptly.
 *
 * After a second in which nothing was affordable one item is inferred nevertheless: the cost may have fallen, and
 * what it then is counts for more than what it was.
 */
class Deadline
{
public:
    struct Verdict {
        std::size_t items; //!< to take now, the oldest
        int evaluations;   //!< most for each of them; 0: given up; -1: as many as the plan has
        bool probe =
            false; //!< unaffordable: forget what was known of the cost before its own is added
    };
    //! seconds 0: no deadline, whatever the policy.
    void set(double seconds, Overload overload);
    double seconds() const { return d_seconds; }
    Overload overload() const { return d_overload; }
    /*!
     * \param first     index of the oldest waiting item
     * \param waiting   at least 1, without those that are only expected
     * \param full      evaluations that an item takes where nothing is cut; 0: inference is free
     * \param held_back a source found no room since the last decision, because of what was taken here
     * \param rest      seconds from a call to the next one, if items are expected
     */
    Verdict decide(const Arrivals& arrivals,
                   std::uint64_t first,
                   std::size_t waiting,
                   std::size_t max_batch,
                   double now,
                   const CostModel& cost,
                   double full,
                   bool held_back,
                   double rest = 0);

private:
    void share(double now, bool held_back);

    double d_seconds = 0;
    Overload d_overload = Overload::wait;
    double d_last_inference = -1; // < 0: none yet
    double d_last = -1;           // decision; < 0: none yet
    double d_share = 1;           // of an item's time that it gets
};

//! Quantiles of durations from 1 us to 100 s, in bins 4.4 % apart; adding is cheap.
class Durations
{
public:
    void add(double seconds, std::uint64_t count = 1);
    //! Upper edge of the bin that holds the quantile, capped by the longest; 0 where nothing was added.
    double quantile(double share) const;
    double longest() const { return d_longest; }
    std::uint64_t count() const { return d_total; }
    void clear();

private:
    std::array<std::uint64_t, 432> d_bins{};
    std::uint64_t d_total = 0;
    double d_longest = 0;
};

} // namespace core
} // namespace diffsem
} // namespace gr
