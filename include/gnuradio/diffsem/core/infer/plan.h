/*
 * SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Which noise levels are visited.
 */
#pragma once

#include <gnuradio/diffsem/core/base/entry.h>
#include <gnuradio/diffsem/core/base/fields.h>
#include <gnuradio/diffsem/core/base/tensor.h>
#include <gnuradio/diffsem/core/priors/schedule.h>

#include <cstddef>
#include <string>
#include <vector>

namespace gr {
namespace diffsem {
namespace core {

struct PlanParameters {
    std::string type = "geometric"; //!< an entry's name
    int steps = 0;                  //!< denoiser evaluations; 0: 10, or for a grid all its levels
    float sigma_min = 0.01f;        //!< last level before the end
    bool least_given =
        false; //!< sigma_min was said; else it does not cut a schedule of the prior's own
    float sigma_max = 0.0f; //!< first level of pure noise; 0: 100, or the end of the grid
    float end = 0;          //!< where the last step goes
    float rho = 7.0f;       //!< karras
    int steps_train = 0;    //!< grids of a schedule: its keys (schedule.h); 0: not said
    float beta_min = 0, beta_max = 0;
    std::vector<double> alphas_cumprod;
    Spacing spacing = Spacing::even; //!< of a grid
    int steps_offset = 0;
    bool drop_last = false;
    bool stride =
        false; //!< each step goes down T/steps of the schedule, whatever is evaluated next
    bool vp_end = false; //!< the answer is the variance-preserving state at the end
    std::vector<double> sigmas, timesteps; //!< list: levels, or steps of the prior's schedule
    // Of proximal: the measurement's noise is so much larger once the prior's answer has seen it; whether a proximal step
    // follows each evaluation; and how far from the mean (0) to a draw (1) the answer goes.
    float inflation = 1, realism = 0;
    bool final = true;
    // Inherited from the prior (inherit_schedule): what its file says, and what its levels are divided by.
    ScheduleKeys schedule;
    float unit = 1;
};

struct PlanEntry : Entry {
    double (*level)(const PlanParameters&,
                    double start,
                    double fraction); //!< a formula for any start, or
    bool grid;                        //!< levels fixed beforehand: of a schedule or a list, or
    bool
        measured; //!< neither: each step goes down to 0, and the next begins at the error that this one left
    bool given = false; //!< a grid that is nothing without what the member or the prior's file says
};

const std::vector<const PlanEntry*>& plans();
//! The keys of a manifest's plan. Throws Error.
PlanParameters read_plan(const Fields& fields);
/*!
 * What the plan leaves open of a schedule, from that of the prior's file: of a plan that names the same type, or `schedule`.
 * Throws Error where the plan needs one and there is none.
 */
void inherit_schedule(PlanParameters& plan, const ScheduleKeys& schedule, float unit);

/*!
 * From a start level down: descending levels, of which the first is the start, and then the end: 0, or what the plan says.
 *
 * geometric and karras (Karras et al. 2022, eq. 5) span start .. sigma_min with all their steps.
 * The others are grids, of a schedule (schedule.h) or a list: the start is followed by the grid levels below it, thinned
 * evenly to at most `steps`, or those that the spacing has chosen.
 */
class Plan
{
public:
    //! Throws Error naming the parameter that is out of range.
    explicit Plan(const PlanParameters& parameters);
    int max_steps() const { return d_steps; } //!< from pure noise
    bool measured() const { return d_entry->measured; }
    float sigma_max() const { return d_sigma_max; }
    float end() const { return d_parameters.end; }
    /*!
     * Writes k <= max_steps() levels, then the end; returns k.
     * \param most if above 0, no more than this many: the levels are spread anew, and end where they do otherwise
     * \param landing where each step goes, if not null: the next level, or where a stride leads
     */
    int levels(float start, float* out, int most = 0, float* landing = nullptr) const;
    bool strides() const { return !d_landing.empty(); }
    //! What levels() gives from this start where nothing is cut.
    int count(float start) const;
    Plan with_steps(int steps) const;
    const PlanParameters& parameters() const { return d_parameters; }

private:
    const PlanEntry* d_entry;
    PlanParameters d_parameters;
    int d_steps = 0;
    float d_sigma_max = 0;
    void take_grid();
    std::vector<float> d_grid;    // descending
    std::vector<float> d_landing; // where a step from each of them goes; empty: to the next
    std::vector<float>::const_iterator below(float start) const; // of the grid
};

/*!
 * Levels of every element at every step of one batch: at step 0 where it starts; then the smaller of
 * that and the plan's level of its item, so that an element joins once the plan has come down to
 * it. An unobserved element (+inf) thus jumps to the plan's second level.
 */
class Levels
{
public:
    void reserve(std::size_t max_batch, std::size_t elements, int steps);
    /*!
     * \param start    of each item or element
     * \param fallback level at which the plan starts where no element of an item is observed
     * \param most     steps of an item at most; 0: the plan's own
     */
    void prepare(const Plan& plan, const Sigma& start, float fallback, int most = 0);
    int steps() const { return d_steps; } //!< of the longest item; level steps() is where it ends
    int steps(std::size_t item) const { return d_count[item]; }
    int planned(std::size_t item) const { return d_planned[item]; } //!< had nothing been cut
    void now(int step, Sigma& out) const;                           //!< where a step begins
    void next(int step, Sigma& out) const;                          //!< where it ends
    bool measured() const { return d_measured; }
    //! A step has landed beside the level that is evaluated next: the same variance-preserving state, as one of that level.
    void carry(int step, Tensor& x) const;
    //! What a step left, of a plan that measures: deviations of the elements of one batch, from their variances.
    void measure(const std::vector<float>& variance);
    //! For tests: any descending list, the same for all elements, not necessarily ending at 0.
    static Levels list(std::size_t batch, const std::vector<float>& levels);

private:
    void get(int step, Sigma& out) const;
    int d_steps = 0;
    bool d_measured = false;
    std::size_t d_row = 0; // levels stored for each item
    Sigma d_start;
    std::vector<float> d_table, d_landing;
    float d_unit = 1;
    std::vector<int> d_count, d_planned;
};

} // namespace core
} // namespace diffsem
} // namespace gr
