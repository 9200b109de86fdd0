/*
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#include "bindings.h"

#include <gnuradio/diffsem/core/link/demap.h>
#include <gnuradio/diffsem/soft_demapper_cf.h>

#include <vector>

using gr::diffsem::soft_demapper_cf;
using gr::diffsem::soft_demapper_options;

namespace {

template <typename Constellation>
soft_demapper_cf::sptr make(const Constellation& constellation,
                            float noise_var,
                            bool noise_input,
                            const std::vector<std::vector<int>>& occupied_carriers,
                            int fft_len,
                            int symbols_skipped,
                            bool input_is_shifted,
                            const std::string& len_tag_key,
                            const std::string& bit_order,
                            float scale,
                            float clip)
{
    soft_demapper_options o;
    o.noise_var = noise_var;
    o.noise_input = noise_input;
    o.occupied_carriers = occupied_carriers;
    o.fft_len = fft_len;
    o.symbols_skipped = symbols_skipped;
    o.input_is_shifted = input_is_shifted;
    o.len_tag_key = len_tag_key;
    o.bit_order = bit_order;
    o.scale = scale;
    o.clip = clip;
    return soft_demapper_cf::make(constellation, o);
}

const char* doc =
    "constellation: a digital.constellation, or 'bpsk', 'qpsk', '16qam', '64qam' (Gray, IEEE "
    "802.11).\n"
    "noise_var: noise variance per symbol until a tag says otherwise.\n"
    "noise_input: a second input gives the noise variance of each symbol.\n"
    "occupied_carriers, fft_len, symbols_skipped, input_is_shifted: as given to the serialiser; "
    "the\n"
    "noise of each carrier then follows from the tags diffsem_noise_var, ofdm_sync_chan_taps and\n"
    "diffsem_error_var.\n"
    "len_tag_key: length tag, multiplied by the bits of a symbol.\n"
    "bit_order: which bit of a symbol comes out first, 'msb' or 'lsb'.\n"
    "scale: multiplies the output; 0.3 suits fec.extended_decoder. clip: largest magnitude; 0: "
    "none.";

template <typename Constellation, typename Class>
void add_init(Class& c)
{
    const soft_demapper_options d;
    c.def(py::init(&make<Constellation>),
          py::arg("constellation"),
          py::arg("noise_var") = d.noise_var,
          py::arg("noise_input") = d.noise_input,
          py::arg("occupied_carriers") = d.occupied_carriers,
          py::arg("fft_len") = d.fft_len,
          py::arg("symbols_skipped") = d.symbols_skipped,
          py::arg("input_is_shifted") = d.input_is_shifted,
          py::arg("len_tag_key") = d.len_tag_key,
          py::arg("bit_order") = d.bit_order,
          py::arg("scale") = d.scale,
          py::arg("clip") = d.clip,
          doc);
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
    add_init<std::string>(c);
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
