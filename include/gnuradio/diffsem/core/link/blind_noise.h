/*
 * SPDX-License-Identifier: GPL-3.0-or-later
 *
 * The noise variance of measurements that come one after the other, from them alone.
 */
#pragma once

#include <gnuradio/diffsem/core/link/noise_estimate.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

namespace gr {
namespace diffsem {
namespace core {

//! Mean of |y|^2 over the observed elements. \p observed: a mask of the first elements, what is behind counts; empty: all.
float observed_power(const cfloat* y, std::size_t m, const std::vector<std::uint8_t>& observed);

//! The same of elements of so many floats, 2 for complex ones.
float observed_power(const float* y,
                     std::size_t parts,
                     std::size_t m,
                     const std::vector<std::uint8_t>& observed);

//! Noise variance where signal and noise together have \p power, and the ratio of the two is \p snr_db.
float noise_at_snr(float power, double snr_db);

/*!
 * Each item's own estimate, averaged over items with an exponential memory: v <- v + weight (estimate - v), from the first
 * estimate on. An estimate that is no number is given back as it is and is no part of the average. One that is not
 * above 0 (a simulation without noise) becomes 1e-9 of the observed power, because a prior needs some.
 */
class BlindNoise
{
public:
    //! What each item is measured by.
    enum class Source {
        null_carriers, //!< null_carrier_noise()
        repeated,      //!< repeated_noise() of two receptions
        delay_tail     //!< DelayTailNoise
    };
    struct Options {
        Source source = Source::null_carriers;
        std::size_t size = 0;  //!< M, elements of an item
        std::size_t parts = 2; //!< floats in an element: 1 for real ones, not for delay_tail
        std::vector<std::uint8_t> observed; //!< M bytes; empty: all
        std::vector<int> null_carriers;     //!< at least one, for that source
        float delay_window = 0;             //!< samples, for that source; 0: M/4
        float weight = 1;                   //!< of the newest, above 0 to 1 (no memory)
    };

    //! Throws Error where the delay window leaves nothing to measure on.
    explicit BlindNoise(Options options);

    //! Noise variance of an item, E|n|^2 per element.
    float operator()(const cfloat* y);
    //! Of the mean of two receptions, which goes to \p mean (M).
    float operator()(const cfloat* first, const cfloat* second, cfloat* mean);
    //! The same of an item's floats, as many as its domain has. Real receptions differ by noise alone, by no rotation.
    float operator()(const float* y);
    float operator()(const float* first, const float* second, float* mean);
    //! Elements of noise alone that the last estimate is worth, where the noise stays as it is.
    float freedom() const;

private:
    float averaged(float noise, const float* y);

    Options d;
    std::unique_ptr<DelayTailNoise> d_tail;
    double d_average = -1; // < 0: none yet
    double d_share = 1;    // variance of the average over that of one estimate
    double d_one = 0;      // elements of noise in one estimate
};

} // namespace core
} // namespace diffsem
} // namespace gr
