/*
 * SPDX-License-Identifier: GPL-3.0-or-later
 *
 * diffsem.core.operator: an operator by its name and keys, for tests against the NumPy twin.
 */
#include "bindings.h"

#include <gnuradio/diffsem/core/base/json.h>
#include <gnuradio/diffsem/core/operators/operator.h>

#include <memory>
#include <string>
#include <vector>

using namespace gr::diffsem;
using core::cfloat;
using vectors = py::array_t<cfloat, py::array::c_style | py::array::forcecast>;
using numbers = py::array_t<float, py::array::c_style | py::array::forcecast>;

namespace {

//! What the keys name lies in one folder.
struct Folder : core::Files {
    explicit Folder(std::string where) : folder(std::move(where)) {}
    std::string path(const std::string& file, const std::string&) const override
    {
        return folder + "/" + file;
    }
    const core::LoadOptions& load_options() const override { return options; }
    std::string folder;
    core::LoadOptions options;
};

struct Named {
    std::shared_ptr<const core::Operator> op;
    core::Domain domain;

    core::Tensor tensor(const vectors& x, std::size_t elements) const
    {
        if (x.ndim() != 2 || std::size_t(x.shape(1)) != elements)
            throw core::Error("give an array [batch, " + std::to_string(elements) + "]");
        core::Tensor t(domain, {std::int64_t(elements)}, std::size_t(x.shape(0)));
        for (py::ssize_t i = 0; i < x.size(); i++) {
            if (domain == core::Domain::complex)
                t.citem(0)[i] = x.data()[i];
            else
                t.data()[i] = x.data()[i].real();
        }
        return t;
    }
    core::Tensor empty(std::size_t elements, std::size_t batch) const
    {
        return core::Tensor(domain, {std::int64_t(elements)}, batch);
    }
    vectors array(const core::Tensor& t) const
    {
        vectors out({py::ssize_t(t.batch()), py::ssize_t(t.elements())});
        for (py::ssize_t i = 0; i < out.size(); i++)
            out.mutable_data()[i] =
                domain == core::Domain::complex ? t.citem(0)[i] : cfloat(t.data()[i], 0.0f);
        return out;
    }
};

core::Sigma levels(const numbers& given, std::size_t batch, std::size_t elements)
{
    const bool each = std::size_t(given.size()) == batch * elements && elements > 1;
    if (!each && std::size_t(given.size()) != batch)
        throw core::Error("give a level for each item, or for each element");
    core::Sigma s(batch, each ? elements : 1);
    std::copy(given.data(), given.data() + given.size(), s.item(0));
    return s;
}

Named make(const std::string& name,
           const std::string& keys,
           std::size_t size,
           bool complex_domain,
           const std::vector<std::uint8_t>& observed,
           const py::object& matrix,
           const std::string& folder)
{
    const auto& entry = core::find_entry(core::operators(), "operator", name);
    const core::Domain domain = complex_domain ? core::Domain::complex : core::Domain::real;
    const core::Json json = core::Json::parse(keys, name);
    core::OperatorInput input;
    input.size = size;
    input.observed = observed;
    if (!matrix.is_none()) {
        const auto a = py::cast<vectors>(matrix);
        input.matrix.assign(a.data(), a.data() + a.size());
        input.matrix_rows = std::size_t(a.shape(0));
    }
    const Folder files(folder);
    return {entry.read(core::Fields(json, name, core::key_names(entry), &files),
                       {domain, {std::int64_t(size)}})(input),
            domain};
}

} // namespace

void bind_operator_(py::module& parent)
{
    auto m = parent.attr("core").cast<py::module>();
    py::class_<Named>(m, "Operator", "y = A(x) + n. Arrays are [batch, elements].")
        .def_property_readonly("rows", [](const Named& n) { return n.op->rows(); })
        .def_property_readonly("cols", [](const Named& n) { return n.op->cols(); })
        .def_property_readonly("linear", [](const Named& n) { return n.op->linear(); })
        .def_property_readonly("has_proximal", [](const Named& n) { return n.op->has_proximal(); })
        .def(
            "vjp",
            [](const Named& n, const vectors& x, const vectors& v) {
                core::Tensor out = n.empty(n.op->cols(), std::size_t(x.shape(0)));
                n.op->vjp(n.tensor(x, n.op->cols()), n.tensor(v, n.op->rows()), out);
                return n.array(out);
            },
            py::arg("x"),
            py::arg("v"),
            "J(x)^H v.")
        .def(
            "classical",
            [](const Named& n, const vectors& y) {
                core::Tensor x = n.empty(n.op->cols(), std::size_t(y.shape(0)));
                n.op->classical(n.tensor(y, n.op->rows()), x);
                return n.array(x);
            },
            py::arg("y"))
        .def(
            "apply",
            [](const Named& n, const vectors& x) {
                core::Tensor y = n.empty(n.op->rows(), std::size_t(x.shape(0)));
                n.op->apply(n.tensor(x, n.op->cols()), y);
                return n.array(y);
            },
            py::arg("x"))
        .def(
            "adjoint",
            [](const Named& n, const vectors& y) {
                core::Tensor x = n.empty(n.op->cols(), std::size_t(y.shape(0)));
                n.op->adjoint(n.tensor(y, n.op->rows()), x);
                return n.array(x);
            },
            py::arg("y"))
        .def(
            "proximal",
            [](const Named& n,
               const vectors& y,
               const numbers& noise,
               const vectors& z,
               const numbers& level) {
                const auto batch = std::size_t(y.shape(0));
                core::Tensor x = n.empty(n.op->cols(), batch);
                std::vector<std::complex<double>> scratch(n.op->scratch_size());
                n.op->proximal(n.tensor(y, n.op->rows()),
                               levels(noise, batch, n.op->rows()),
                               n.tensor(z, n.op->cols()),
                               levels(level, batch, n.op->cols()),
                               x,
                               scratch.data());
                return n.array(x);
            },
            py::arg("y"),
            py::arg("noise"),
            py::arg("z"),
            py::arg("level"),
            "noise, level: standard deviations, for each item or each element.");
    m.def("operator",
          &make,
          py::arg("name"),
          py::arg("keys") = "{}",
          py::arg("size"),
          py::arg("complex_domain") = true,
          py::arg("observed") = std::vector<std::uint8_t>(),
          py::arg("matrix") = py::none(),
          py::arg("folder") = "",
          "keys: JSON text, as a manifest has them; folder: where the files lie that they name.");
    m.def(
        "operator_examples",
        [] {
            py::dict all;
            for (const auto* e : core::operators())
                all[e->name] = py::make_tuple(e->example, e->example_size);
            return all;
        },
        "{name: (keys as JSON text, elements)} of the contract tests.");
}
