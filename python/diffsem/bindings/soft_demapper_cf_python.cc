/*
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#include "fields.h"

#include <gnuradio/diffsem/core/link/demap.h>
#include <gnuradio/diffsem/soft_demapper_cf.h>

#include <vector>

using gr::diffsem::soft_demapper_cf;
using gr::diffsem::soft_demapper_options;

namespace {

template <typename Constellation, typename Class>
void add_init(Class& c)
{
    using o = soft_demapper_options;
    using in = fields_of<o>;
    def_init<o>(
        c,
        py::overload_cast<Constellation, const o&>(&soft_demapper_cf::make),
        std::make_tuple(needed<std::decay_t<Constellation>>{
            "constellation",
            "a digital.constellation, or 'bpsk', 'qpsk', '16qam', '64qam' (Gray, IEEE 802.11)."}),
        std::make_tuple(
            in::line("noise_var",
                     &o::noise_var,
                     "noise variance per symbol until a tag says otherwise."),
            in::line("noise_input",
                     &o::noise_input,
                     "a second input gives the noise variance of each symbol."),
            in::line("occupied_carriers",
                     &o::occupied_carriers,
                     "as given to the serialiser; the noise of each carrier then follows from the "
                     "tags\n"
                     "  diffsem_noise_var, ofdm_sync_chan_taps and diffsem_error_var."),
            in::line("fft_len", &o::fft_len, "carriers of an OFDM symbol, with those."),
            in::line("symbols_skipped",
                     &o::symbols_skipped,
                     "where a packet starts in occupied_carriers."),
            in::line("input_is_shifted",
                     &o::input_is_shifted,
                     "the taps begin with the lowest frequency."),
            in::line(
                "len_tag_key", &o::len_tag_key, "length tag, multiplied by the bits of a symbol."),
            in::line("bit_order",
                     &o::bit_order,
                     "which bit of a symbol comes out first, 'msb' or 'lsb'."),
            in::line("scale", &o::scale, "multiplies the output; 0.3 suits fec.extended_decoder."),
            in::line("clip", &o::clip, "largest magnitude; 0: none.")));
}

} // namespace

void bind_soft_demapper_cf(py::module& m)
{
    py::class_<soft_demapper_cf,
               gr::sync_interpolator,
               gr::sync_block,
               gr::block,
               gr::basic_block,
               std::shared_ptr<soft_demapper_cf>>
        c(m,
          "soft_demapper_cf",
          "Max-log soft demapper with the noise variance of every symbol.\n\n"
          "Output: log-likelihood ratios, one for each bit; above 0 means bit 1, as in gr-fec.");
    add_init<const std::string&>(c);
    add_init<gr::digital::constellation_sptr>(c);
    c.def("set_noise_var", &soft_demapper_cf::set_noise_var, py::arg("noise_var"))
        .def("set_scale", &soft_demapper_cf::set_scale, py::arg("scale"))
        .def("set_clip", &soft_demapper_cf::set_clip, py::arg("clip"))
        .def("bits_per_symbol", &soft_demapper_cf::bits_per_symbol);

    py::module core = m.attr("core");
    core.def(
        "constellation_points",
        &gr::diffsem::core::constellation_points,
        py::arg("name"),
        "Points of 'bpsk', 'qpsk', '16qam' or '64qam', unit mean power, indexed by their bits\n"
        "(most significant first).");
}
