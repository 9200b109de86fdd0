/*
 * SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Follows a channel through the symbols of a frame, by pilots and by what the data probably were.
 */
#pragma once

#include <gnuradio/diffsem/core/link/delay_basis.h>
#include <gnuradio/diffsem/core/link/symbol_posterior.h>

#include <Eigen/Core>

#include <cstddef>
#include <cstdint>
#include <vector>

namespace gr {
namespace diffsem {
namespace core {

/*!
 * A Gaussian channel that walks: h_s = h_0 + B c_s, c_{s+1} = c_s + w_s; B is a DelayBasis, h_0 what was known before.
 * The steps w have variance q a_i, those of the first error P_i: a_i is the basis's share of coefficient i, so that
 * what delays in the window hardly make (a carrier at the edge alone) hardly moves.
 *
 * Forward, symbol by symbol: the data given the channel so far have the posterior mean x and power p (SymbolPosterior,
 * whose noise contains the error of the channel), and the carrier is a look at the channel's error,
 * u = y conj(x) - p h: the gradient of expectation maximisation (Dempster, Laird and Rubin, J. R. Stat. Soc. B 39,
 * 1977), which is 0 where nothing can be said of x. Its coefficients B^H u go into Kalman filters, one for each, whose
 * variances are raised to what the innovations show (Mehra, IEEE Trans. Autom. Control 15(2), 1970): nothing has to
 * be known of the speed.
 *
 * Backward: q is the likeliest of a table, from 0 (a still channel averages over the whole block) to the noise itself
 * (it follows each symbol); then Rauch, Tung and Striebel's smoother (AIAA J. 3(8), 1965). look_again() is a second step of
 * expectation maximisation: each symbol at the channel that was inferred from all, then infer() once more.
 *
 * Two kinds of carriers are not believed: those closer to nothing sent than to any point (a last symbol that is not
 * full), which say nothing, and those much further from all points than noise and the others are (interference),
 * which are limited.
 *
 * Where the first estimate shows energy outside of the window that is not noise, B is the identity in that frame.
 */
class ChannelTracker
{
public:
    static constexpr int longest_block = 32; //!< symbols

    struct Looks {
        const SymbolPosterior* data; //!< what the data carriers hold
        const cfloat* known;         //!< pilots' values, 0 elsewhere
        const std::uint8_t* in_use;  //!< non-zero: data or pilot
    };

    //! \p carriers: ascending frequencies; \p window: longest delay in samples.
    ChannelTracker(std::vector<int> carriers, int fft_len, double window);

    std::size_t carriers() const { return d_basis.carriers(); }

    /*!
     * A frame begins.
     * \param channel   its first estimate, one value a carrier; 0 where there is none
     * \param noise_var noise of a received carrier; NaN: not known, it is then estimated
     * \param error_var error variance of the estimate, mean of the carriers; NaN: as its noise
     */
    void start(const cfloat* channel, float noise_var, float error_var);

    /*!
     * The next symbols of the frame, forward.
     * \param received symbols x carriers; the phase that is common to all carriers is taken out as far as it is known
     */
    void observe(const cfloat* received, const Looks* looks, int symbols);
    //! symbols x carriers, what these probably held; 0 where nothing is believed
    const std::vector<cfloat>& means() const { return d_means; }
    //! The same symbols once more, at what infer() made of the first look: symbols x carriers.
    void look_again(const cfloat* received, const Looks* looks, int symbols, const cfloat* channel);
    //! Multiplies what was received in observe() and look_again(), by one factor of modulus 1 for each symbol.
    void turn_looks(const std::vector<cfloat>& turns);
    //! \p channel: symbols x carriers, the estimates, under all looks of the block
    void infer(int symbols, cfloat* channel);
    //! The block is at its end: the next begins from its last estimate, turned.
    void advance(const cfloat* last, cfloat turn);

    const std::vector<cfloat>& base() const { return d_base; } //!< where the next block begins

private:
    struct Seen {
        double share;  // of the carriers that said something
        double unit;   // mean |x|^2 of these
        double change; // mean |innovation|^2
        double noise;  // of a carrier, from what no channel explains; below 0: cannot be told
    };

    void begin(const cfloat* received, const Looks& looks);
    void clean(double power, double error);
    void decide(const cfloat* received, const Looks& looks, float error);
    Seen look(const cfloat* received, const Looks& looks, float error, cfloat* innovation);
    void limit(float near);
    void keep_means(int symbol);
    void forward(const cfloat* received, const Looks* looks, int symbols);
    double likelihood(int symbols, float q);
    void smooth(int symbols, float q);
    void analyse(const cfloat* response, cfloat* coefficients) const;
    void synthesise(const cfloat* coefficients, cfloat* response) const;
    std::size_t size() const { return d_whole ? carriers() : d_basis.size(); }

    DelayBasis d_basis;
    bool d_fresh = false; // a frame has begun and no symbol of it was seen
    bool d_whole = false; // B is the identity
    double d_told_noise = 0, d_told_error = 0, d_noise = 0;

    std::vector<cfloat> d_base, d_here,
        d_look; // d_here: the channel of the symbol that is looked at
    // of the carriers of a symbol: E[x], the nearest points, E|x|^2 now and in general, |y - h x|^2 of the nearest, of all
    std::vector<cfloat> d_mean, d_nearest;
    std::vector<float> d_power, d_expected, d_miss, d_distance, d_misses;
    // of a block's symbols
    std::vector<cfloat> d_means;
    std::vector<cfloat> d_seen, d_state; // symbols x coefficients: as observed, and inferred
    std::vector<float>
        d_told; // how much was said of the channel: over the noise, 1 / variance of a look at all carriers
    Eigen::ArrayXXf d_smoothed; // variances of d_state

    // of the coefficients: P over the noise, the walk's weights, and what is computed with
    Eigen::ArrayXf d_error, d_weight, d_variance, d_gain, d_growth, d_misfit;
};

} // namespace core
} // namespace diffsem
} // namespace gr
