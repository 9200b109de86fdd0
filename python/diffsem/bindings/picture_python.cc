/*
 * SPDX-License-Identifier: GPL-3.0-or-later
 *
 * diffsem.core: the receiving side of photographs, from octets and symbols on.
 */
#include "bindings.h"

#include <gnuradio/diffsem/core/link/digital_code.h>
#include <gnuradio/diffsem/core/picture/picture_receiver.h>

#include <vector>

using namespace gr::diffsem;

namespace {

template <typename T>
using array = py::array_t<T, py::array::c_style | py::array::forcecast>;
using octets = std::vector<std::uint8_t>;

octets to_octets(const py::bytes& data)
{
    char* first = nullptr;
    py::ssize_t size = 0;
    if (PyBytes_AsStringAndSize(data.ptr(), &first, &size))
        throw py::error_already_set();
    return octets(first, first + size);
}

template <typename To, typename From>
py::array_t<To> to_array(const std::vector<From>& values, std::vector<py::ssize_t> shape)
{
    py::array_t<To> out(std::move(shape));
    std::copy(values.begin(), values.end(), out.mutable_data());
    return out;
}

template <typename T>
std::vector<py::ssize_t> flat(const std::vector<T>& values)
{
    return {py::ssize_t(values.size())};
}

template <typename T>
void check_size(const char* name, const array<T>& values, std::size_t n)
{
    if (values.ndim() != 1 || std::size_t(values.size()) != n)
        throw core::Error(std::string(name) + " has " + std::to_string(values.size()) +
                          " values, must be [" + std::to_string(n) + "]");
}

py::dict describe(const core::PicturePlan& p)
{
    const auto n = [](std::size_t v) { return py::ssize_t(v); };
    py::list low, levels;
    for (std::size_t c = 0; c < 3; c++) {
        low.append(to_array<std::int64_t>(p.low[c], {n(p.low_rows()), n(p.low_columns())}));
        levels.append(to_array<std::int64_t>(p.levels[c], flat(p.levels[c])));
    }
    py::dict d;
    d["shape"] = py::make_tuple(p.rows, p.columns);
    d["n_symbols"] = p.n_symbols;
    d["model"] = p.model;
    d["block"] = py::make_tuple(p.block_rows, p.block_columns);
    d["step"] = p.step;
    d["low"] = low;
    d["floor"] = p.floor;
    d["levels"] = levels;
    d["tail"] = p.tail;
    d["power"] = p.power;
    d["design_snr"] = p.design_snr;
    d["scheme_hash"] = p.scheme_hash;
    return d;
}

} // namespace

void bind_picture(py::module& parent)
{
    auto m = parent.attr("core").cast<py::module>();
    py::class_<core::PicturePlan>(
        m, "PicturePlan", "What a photograph's digital part says; ValueError if it is none.")
        .def(py::init([](const py::bytes& digital) {
                 const auto data = to_octets(digital);
                 return core::PicturePlan::parse(data.data(), data.size());
             }),
             py::arg("digital"))
        .def("describe", &describe, "Everything it says, as a dictionary.")
        .def(
            "variances",
            [](const core::PicturePlan& p) {
                return to_array<double>(p.variances(),
                                        {3, py::ssize_t(p.rows), py::ssize_t(p.columns)});
            },
            "E x^2 of each coefficient, float64 [3, H, W].")
        .def(
            "allocation",
            [](const core::PicturePlan& p) {
                const auto a = p.allocation();
                py::dict d;
                d["order"] = to_array<std::int64_t>(a.order, flat(a.order));
                d["gains"] = to_array<double>(a.gains, flat(a.gains));
                d["copies"] = to_array<std::int64_t>(a.copies, flat(a.copies));
                d["places"] = to_array<std::int64_t>(a.places, flat(a.places));
                return d;
            },
            "order, gains, copies [K] and places [N].")
        .def(
            "measurement",
            [](const core::PicturePlan& p,
               const array<std::complex<float>>& symbols,
               const array<float>& noise_var) {
                check_size("symbols", symbols, p.n_symbols);
                check_size("noise_var", noise_var, p.n_symbols);
                const auto a = p.measurement(symbols.data(), noise_var.data());
                const std::vector<py::ssize_t> shape = {
                    3, py::ssize_t(p.rows), py::ssize_t(p.columns)};
                return py::make_tuple(to_array<float>(a.y, shape),
                                      to_array<float>(a.gains, shape),
                                      to_array<float>(a.noise_var, shape));
            },
            py::arg("symbols"),
            py::arg("noise_var"),
            "(y, gains, noise_var), float32 [3, H, W] each, of symbols and noise_var [N].");
    py::class_<core::DigitalCode>(m, "DigitalCode", "The code of a digital part's block size.")
        .def(py::init<int>(), py::arg("size"))
        .def_property_readonly("octets", &core::DigitalCode::octets)
        .def_property_readonly("uses", &core::DigitalCode::uses)
        .def(
            "decode",
            [](const core::DigitalCode& code, const array<float>& soft) -> py::object {
                check_size("soft", soft, 2 * code.uses());
                octets data;
                bool good;
                {
                    const float* values = soft.data();
                    py::gil_scoped_release release;
                    good = code.decode(values, data);
                }
                if (!good)
                    return py::none();
                return py::bytes(reinterpret_cast<const char*>(data.data()), data.size());
            },
            py::arg("soft"),
            "Log-likelihood ratios [2 uses], positive for bit 0 -> octets, or None.");
    m.def(
        "receive_picture",
        [](core::Estimator& estimator,
           const py::bytes& digital,
           const array<std::complex<float>>& symbols,
           const array<float>& noise_var,
           bool deviation) {
            check_size("noise_var", noise_var, std::size_t(symbols.size()));
            const auto data = to_octets(digital);
            core::Picture p;
            {
                const auto* s = symbols.data();
                const auto* v = noise_var.data();
                const auto n = std::size_t(symbols.size());
                py::gil_scoped_release release;
                p = core::receive_picture(estimator, data.data(), data.size(), s, v, n, deviation);
            }
            py::dict said;
            said["evaluations"] = p.info.evaluations;
            said["seconds"] = p.info.seconds;
            said["net_seconds"] = p.info.net_seconds;
            said["linear"] = p.info.linear;
            said["reason"] = p.info.reason;
            said["scheme_hash"] = p.scheme_hash;
            said["hash_bits"] = p.hash_bits;
            const py::ssize_t rows = py::ssize_t(p.rows), columns = py::ssize_t(p.columns);
            if (deviation)
                said["deviation"] = to_array<float>(p.deviation, {rows, columns});
            return py::make_tuple(to_array<std::uint8_t>(p.pixels, {rows, columns, 3}), said);
        },
        py::arg("estimator"),
        py::arg("digital"),
        py::arg("symbols"),
        py::arg("noise_var"),
        py::arg("deviation") = false,
        "Octets, symbols [N] and their noise variances -> (photograph uint8 [H, W, 3], a dict: as "
        "estimate_picture, and the scheme_hash that was sent in hash_bits bits; with `deviation` "
        "that "
        "of each pixel's error, float32 [H, W] over a range of 1).");
}
