/*
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#pragma once

#include <gnuradio/block.h>
#include <gnuradio/diffsem/api.h>
#include <gnuradio/diffsem/live_inference.h>
#include <gnuradio/diffsem/scheme.h>

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

namespace gr {
namespace diffsem {

//! Pilots of each symbol of a period: carriers counted from DC, and what is sent on them.
using pilot_pattern = std::vector<std::pair<std::vector<int>, std::vector<gr_complex>>>;

//! What `ofdm_grid_chanest` can be told besides its grid; the defaults are those of Python.
struct ofdm_grid_chanest_options {
    //! A prior over tiles [symbols, carriers]; `ls`: none, lines between the pilots. Null: `ofdm_grid`.
    std::shared_ptr<diffsem::scheme> scheme;
    int window = 16;     //!< symbols that an answer is made from
    int latency = -1;    //!< symbols that one may wait for later ones; -1: as many as help
    float noise_var = 0; //!< noise variance per carrier of the input; 0: measure it in each window
    std::vector<int> null_carriers; //!< where it is measured; empty: on what the pilots show
    float delay_window = 0; //!< samples that the channel may last, for the latter; 0: choose
    std::string frame_tag;  //!< key of the tag on a pattern's first symbol; empty: count
    bool tag_items = false; //!< tag every symbol with what was done
    int steps = 0;          //!< evaluations of the prior; 0: the scheme's own
    float eta = -1;         //!< < 0: the scheme's own
    uint64_t seed = 0;      //!< of random schemes
    live_options live;      //!< deadline and what happens behind it
};

/*!
 * \brief The channel at every carrier of every OFDM symbol, from pilots wherever they are.
 * \ingroup diffsem
 *
 * \details
 * A window moves over the symbols; what its pilots measured is a grid of symbols and carriers, which the prior completes. The
 * scheme's tile may be of another size: larger grids are covered by tiles that overlap, smaller ones are tiles of
 * which the rest is not measured. The grid reaches from the lowest occupied carrier to the highest.
 *
 * Input: OFDM symbols in the frequency domain, N carriers in shifted order (index N/2 is DC), as an FFT gives them.
 * Output 0: the same symbols, as soon as they are answered. Output 1: the channel at each, N carriers, 0 outside the grid.
 * Output 2 (optional, float): its error variance, infinite where nothing is known. Item k is of the same symbol on all three,
 * and nothing stays inside at the end of the input.
 *
 * **Where the pattern begins.** Without \p frame_tag at the first item, and then it is counted on. With it: a value that is a
 * whole number above 0 (`packet_len`) says how many symbols the frame has, and each frame is answered for itself;
 * any other says that the pattern begins here, and where counting says something else, symbols were lost. Then, and at a
 * tag `rx_time` within the stream, what came before is answered, the window begins anew, and restarts() counts it. The tag
 * `diffsem_reset` asks for a new window too.
 *
 * **Noise.** If \p noise_var is 0 it is measured in each window: on the \p null_carriers, or, without those, on what the
 * pilots of a symbol have beyond a channel of \p delay_window samples.
 *
 * A symbol that holds NaN or Inf passes, is no measurement, and is counted as bypassed; its channel is what the others
 * say. Where inference failed or was given up, the channel is that of `ls`.
 *
 * Tags on a symbol, on all outputs: those of the input; `diffsem_bypassed`, `diffsem_guarded`, `diffsem_few_observed` where there
 * is cause, for a part of the carriers too; `diffsem_dropped` (symbols missing before this one); with \p tag_items also
 * `diffsem_steps`, `diffsem_planned`, `diffsem_latency`, `diffsem_age`, `diffsem_model`, `diffsem_noise_var`.
 *
 * Message ports: `stats` (see live_inference; items are symbols; event `restarted`), and `scheme`, as of the other blocks. The wait
 * for later symbols counts for the deadline.
 */
class DIFFSEM_API ofdm_grid_chanest : virtual public gr::block
{
public:
    using sptr = std::shared_ptr<ofdm_grid_chanest>;

    /*!
     * \param fft_len           carriers of a symbol, N
     * \param occupied_carriers those that carry energy, pilots among them, counted from DC
     * \param pilots            an entry for each symbol of a period, possibly empty
     * \throws core::Error (ValueError in Python) naming the parameter, its value and the remedy
     */
    static sptr make(int fft_len,
                     const std::vector<int>& occupied_carriers,
                     const pilot_pattern& pilots,
                     const ofdm_grid_chanest_options& options = {});

    virtual void set_steps(int steps) = 0;           //!< live
    virtual void set_eta(float eta) = 0;             //!< live; < 0: the scheme's own
    virtual void set_seed(uint64_t seed) = 0;        //!< live
    virtual void set_noise_var(float noise_var) = 0; //!< live; 0: measure it
    virtual void set_tag_items(bool tag_items) = 0;  //!< live
    /*!
     * Live: loads and tries it in the caller's thread, then puts it in the place of the running one.
     * \throws core::Error when it cannot be had or does not fit; the running one stays
     */
    virtual void set_scheme(scheme::sptr scheme) = 0;
    virtual float noise_var() const = 0;   //!< of the last window
    virtual uint64_t restarts() const = 0; //!< windows begun anew because symbols were lost
    virtual live_inference& live() = 0;    //!< deadline, overload policy, counters (of symbols)
};

} // namespace diffsem
} // namespace gr
