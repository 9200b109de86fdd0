/*
 * SPDX-License-Identifier: GPL-3.0-or-later
 *
 * From gr-digital's terms to the core's. Private.
 */
#pragma once

#include "block_helpers.h"

#include <gnuradio/diffsem/core/link/frame_receiver.h>
#include <gnuradio/diffsem/frame_sync_cvc.h>

#include <string>
#include <utility>
#include <vector>

namespace gr {
namespace diffsem {

//! Throws core::Error naming what does not fit.
inline core::FrameLayout layout_of(const frame_format& format)
{
    if (format.fft_len < 8 || format.fft_len > 65536)
        throw core::Error("fft_len is " + text(format.fft_len) + ": give 8 to 65536 carriers");
    const auto indices = [&](const std::vector<std::vector<int>>& sets, const std::string& name) {
        if (sets.size() != 1)
            throw core::Error(name + " has " + text(sets.size()) +
                              " sets: every symbol of these frames is alike, give one");
        std::vector<int> out;
        for (int k : sets[0]) {
            if (k < -format.fft_len / 2 || k >= format.fft_len / 2)
                throw core::Error(name + ": carrier " + text(k) + " is outside " +
                                  text(-format.fft_len / 2) + ".." + text(format.fft_len / 2 - 1));
            out.push_back(k + format.fft_len / 2);
        }
        return out;
    };
    core::FrameLayout layout;
    layout.data = indices(format.occupied_carriers, "occupied_carriers");
    layout.pilots = indices(format.pilot_carriers, "pilot_carriers");
    layout.pilot_symbols = format.pilot_symbols;
    if (format.sync_words.size() != 2)
        throw core::Error("sync_words has " + text(format.sync_words.size()) + ": give two");
    layout.word1 = format.sync_words[0];
    layout.word2 = format.sync_words[1];
    if (layout.fft_len() != format.fft_len)
        throw core::Error("sync_words[0] has " + text(layout.fft_len()) +
                          " values: give fft_len, " + text(format.fft_len));
    layout.cp_len = format.cp_len;
    layout.frame_symbols = format.frame_symbols;
    layout.check();
    return layout;
}

inline pmt::pmt_t header_dict(const core::FrameHeader& h)
{
    pmt::pmt_t d = pmt::make_dict();
    d = pmt::dict_add(d, pmt::mp("id"), pmt::from_long(h.id));
    d = pmt::dict_add(d, pmt::mp("total"), pmt::from_long(h.total));
    d = pmt::dict_add(d, pmt::mp("index"), pmt::from_long(h.index));
    return pmt::dict_add(d, pmt::mp("digital"), pmt::from_long(h.digital));
}

//! The other way; empty if done, else what is wrong.
inline std::string header_from_dict(const pmt::pmt_t& d, core::FrameHeader& h)
{
    const std::pair<const char*, int*> fields[] = {
        {"id", &h.id}, {"total", &h.total}, {"index", &h.index}, {"digital", &h.digital}};
    for (const auto& f : fields) {
        const auto value = pmt::dict_ref(d, pmt::mp(f.first), pmt::PMT_NIL);
        double number = -1; // what no int holds must not become one that does
        if (pmt::is_real(value) || !real_number(value, number))
            return std::string("its dictionary has no integer '") + f.first + "'";
        if (number < 0 || number > 65535)
            return std::string("its '") + f.first + "' is " + text(number);
        *f.second = static_cast<int>(number);
    }
    return "";
}

} // namespace diffsem
} // namespace gr
