/*
 * SPDX-License-Identifier: GPL-3.0-or-later
 *
 * The carriers of DVB-T in spectra that a synchroniser has cut out: where they lie, how they turn from symbol to symbol, which
 * of them are scattered pilots.
 */
#pragma once

#include <gnuradio/diffsem/core/base/types.h>
#include <gnuradio/diffsem/core/link/dvbt_layout.h>

#include <array>
#include <cstddef>
#include <vector>

namespace gr {
namespace diffsem {
namespace core {

/*!
 * What stands between a spectrum and a channel that changes smoothly: an offset of whole carriers (the continual pilots, which
 * turn alike, product with the symbol before), steps of the window by whole samples (the slope of their turn over the carriers),
 * the mean turn of a symbol and its slope (what is left of carrier and clock offset; slow means). All these are taken out.
 */
class DvbtCarriers
{
public:
    explicit DvbtCarriers(const DvbtLayout& layout);

    //! Everything is looked for anew.
    void restart();
    /*!
     * One spectrum, DC in the middle. False: it is not finite, or its offset is not known yet; carriers() is not of it.
     */
    bool push(const cfloat* spectrum);

    bool known() const { return d_known; } //!< the offset is
    const std::vector<cfloat>& carriers() const { return d_now; }
    //! l % 4 of the symbol, by the power of the pilots of this and the ones before.
    std::size_t phase() const { return (d_count + d_lead) % DvbtLayout::phases; }
    //! Symbols were lost: phase() is not what counting says.
    bool slipped() const { return d_slipped; }
    //! The bit of transmission parameters that this symbol says (differential, 4.6.3).
    bool tps_bit() const { return d_tps < 0; }
    int offset() const { return d_offset; } //!< carriers

private:
    bool find_offset(const cfloat* spectrum);
    void follow();
    void find_phase();
    void derotate(const cfloat* spectrum);

    static constexpr int most_offset = 40; // carriers
    const DvbtLayout& d_layout;
    std::vector<cfloat> d_before, d_now; // of the last symbol and of this one
    std::vector<cfloat> d_spectrum;      // the last one, while the offset is looked for
    std::vector<float> d_offsets;
    std::vector<cfloat> d_turned, d_waves; // continual pilots; exp(2j pi i / N)
    std::size_t d_looked = 0;
    std::size_t d_count = 0; // symbols since the offset is known
    bool d_known = false, d_slipped = false;
    int d_offset = 0;
    double d_angle = 0, d_slope = 0; // that this symbol is turned back by; slope: radians a carrier
    double d_angle_step = 0, d_slope_step = 0; // of a symbol, on the mean
    std::array<double, DvbtLayout::phases> d_scores{};
    std::size_t d_lead = 0;
    float d_tps = 0;
};

} // namespace core
} // namespace diffsem
} // namespace gr
