/*
 * SPDX-License-Identifier: GPL-3.0-or-later
 *
 * From spectra to equalised payload of DVB-T.
 */
#pragma once

#include <gnuradio/diffsem/core/link/dvbt_carriers.h>
#include <gnuradio/diffsem/core/link/dvbt_channel.h>
#include <gnuradio/diffsem/core/link/dvbt_layout.h>
#include <gnuradio/diffsem/core/link/dvbt_tps.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace gr {
namespace diffsem {
namespace core {

//! One answered symbol.
struct DvbtSymbol {
    int index = 0;       //!< in its frame, 0 .. 67
    bool begins = false; //!< the first one since payload comes: a superframe begins here
    bool usable = true;  //!< false: it was not finite, its payload is 0
};

/*!
 * Takes spectra one by one; payload comes with a delay of DvbtChannel::ahead() symbols, from the first superframe on whose
 * beginning is known: gr-dtv's decoders want it so. Where symbols are lost it waits for the next one.
 */
class DvbtDemodulator
{
public:
    //! \param channel what estimates; must outlive it
    DvbtDemodulator(const DvbtLayout& layout, DvbtChannel& channel);

    //! A spectrum, DC in the middle.
    void push(const cfloat* spectrum);
    //! Another stream follows: nothing of the last one counts.
    void begin();
    //! Symbols were lost before the next one.
    void restart();
    //! Nothing more comes: what waits is answered with what there is.
    void end() { d_ended = true; }
    bool due() const { return d_pushed - d_answered > (d_ended ? 0 : d_channel.ahead()); }
    /*!
     * Answers the oldest symbol that is due(). True: its payload, layout.data[index % 4].size() elements, is at \p data; false: it
     * comes before the first superframe.
     * \param noise the variance of each element of the payload: (noise + error of the channel) / |channel|^2, infinite
     *              where nothing is known; null: nobody asks
     */
    bool pop(cfloat* data, DvbtSymbol& symbol, float* noise = nullptr);

    std::size_t waiting() const { return std::size_t(d_pushed - d_answered); } //!< symbols inside
    bool located() const { return d_located; } //!< symbols have their place in a superframe
    const DvbtParameters& parameters() const { return d_tps.parameters(); } //!< if located()
    std::uint64_t losses() const { return d_losses; } //!< restarts after something was located
    float noise_var() const { return d_channel.noise_var(); }
    int offset() const { return d_carriers.offset(); } //!< carriers

private:
    static constexpr std::size_t kept = 64; // rows
    struct Row {
        bool usable = false;
        float impulse = 0; // power of it, a carrier
        std::vector<cfloat> carriers;
    };
    int place(std::uint64_t row) const; // in its superframe
    void noise_of(const std::vector<std::size_t>& places, const Row& row, float* noise) const;
    double impulse(double power);
    void read_parameters(bool usable);

    const DvbtLayout& d_layout;
    DvbtChannel& d_channel;
    DvbtCarriers d_carriers;
    DvbtTps d_tps;
    std::vector<Row> d_rows;
    std::vector<cfloat> d_response;
    std::vector<float> d_error;
    std::uint64_t d_pushed = 0, d_answered = 0; // rows since the restart
    std::uint64_t d_first = 0;                  // place of row 0 in its superframe
    std::size_t d_silent = 0;                   // rows since parameters were read
    double d_power = 0;                         // usual one, of a carrier
    std::size_t d_struck = 0;                   // rows with an impulse, in a row
    bool d_located = false, d_begun = false, d_ended = false;
    std::uint64_t d_losses = 0;
};

} // namespace core
} // namespace diffsem
} // namespace gr
