/*
 * SPDX-License-Identifier: GPL-3.0-or-later
 *
 * diffsem.core: the maths without blocks, for tests against the NumPy twin and for notebooks.
 */
#include "run_estimator.h"

#include <gnuradio/diffsem/core/base/philox.h>
#include <gnuradio/diffsem/core/base/signal.h>
#include <gnuradio/diffsem/core/link/ofdm.h>
#include <gnuradio/diffsem/core/scheme/load_scheme.h>
#include <gnuradio/diffsem/scheme.h>

#include <algorithm>
#include <optional>
#include <vector>

using namespace gr::diffsem;
using core::cfloat;

static void bind_signal(py::module& m)
{
#define DIFFSEM_SIGNAL(f, argument) m.def(#f, py::vectorize(core::f), py::arg(argument))
    DIFFSEM_SIGNAL(db_from_rho, "rho");
    DIFFSEM_SIGNAL(rho_from_db, "db");
    DIFFSEM_SIGNAL(sigma_from_rho, "rho");
    DIFFSEM_SIGNAL(rho_from_sigma, "sigma");
    DIFFSEM_SIGNAL(sigma_from_db, "db");
    DIFFSEM_SIGNAL(alpha_bar_from_sigma, "sigma");
    DIFFSEM_SIGNAL(sigma_from_alpha_bar, "alpha_bar");
    DIFFSEM_SIGNAL(vp_scale, "sigma");
    DIFFSEM_SIGNAL(flow_time_from_sigma, "sigma");
    DIFFSEM_SIGNAL(sigma_from_flow_time, "t");
    DIFFSEM_SIGNAL(flow_scale, "sigma");
#undef DIFFSEM_SIGNAL
    m.attr("component_scale") = core::component_scale;

    m.def(
        "philox_words",
        [](std::array<std::uint32_t, 4> counter, std::uint32_t k0, std::uint32_t k1) {
            return core::philox4x32(counter, k0, k1);
        },
        py::arg("counter"),
        py::arg("k0"),
        py::arg("k1"),
        "Philox4x32-10 of a counter of four words and a key of two.");
    m.def(
        "normal",
        [](std::size_t count,
           std::uint64_t item,
           std::uint32_t step,
           std::uint64_t seed,
           std::uint64_t stream,
           bool complex_domain) -> py::array {
            const core::Rng rng(seed, stream);
            if (complex_domain) {
                py::array_t<cfloat> out(static_cast<py::ssize_t>(count));
                std::vector<float> parts(2 * count);
                rng.fill(item, step, core::Domain::complex, count, parts.data());
                for (std::size_t i = 0; i < count; i++)
                    out.mutable_data()[i] = cfloat(parts[2 * i], parts[2 * i + 1]);
                return out;
            }
            py::array_t<float> out(static_cast<py::ssize_t>(count));
            rng.fill(item, step, core::Domain::real, count, out.mutable_data());
            return out;
        },
        py::arg("count"),
        py::arg("item") = 0,
        py::arg("step") = 0,
        py::arg("seed") = 0,
        py::arg("stream") = 0,
        py::arg("complex_domain") = true,
        "Noise of unit variance per element that a run draws for one item at one step.");
}

static void bind_estimator(py::module& m)
{
    py::class_<core::Estimator>(
        m, "Estimator", "Run state of one stream of a scheme: scheme.estimate() that is kept.")
        .def(py::init([](const scheme::sptr& handle,
                         std::size_t item_size,
                         const py::object& observed,
                         const py::object& matrix,
                         int steps,
                         float eta,
                         std::uint64_t seed,
                         std::uint64_t stream,
                         std::size_t max_batch,
                         float noise_freedom,
                         const py::object& condition) {
                 auto loaded = handle->get();
                 if (loaded->info().image)
                     throw core::Error("scheme '" + loaded->info().spec +
                                       "' is of photographs, whose size comes with each: take "
                                       "core.picture_estimator");
                 auto options = estimator_options(*loaded,
                                                  item_size,
                                                  observed,
                                                  matrix,
                                                  steps,
                                                  eta,
                                                  seed,
                                                  stream,
                                                  max_batch,
                                                  noise_freedom);
                 options.conditions = conditions_from(condition);
                 return std::make_unique<core::Estimator>(loaded, options);
             }),
             py::arg("scheme"),
             py::arg("item_size") = 0,
             py::arg("observed") = py::none(),
             py::arg("matrix") = py::none(),
             py::arg("steps") = 0,
             py::arg("eta") = -1.0f,
             py::arg("seed") = 0,
             py::arg("stream") = 0,
             py::arg("max_batch") = 64,
             py::arg("noise_freedom") = 0.0f,
             py::arg("condition") = py::none())
        .def(
            "run",
            [](core::Estimator& self,
               const py::object& y,
               const float_array& noise_var,
               const std::optional<std::uint64_t>& first,
               const py::object& condition,
               py::ssize_t draws) {
                const std::size_t m = std::max<std::size_t>(self.input_size(), 1);
                std::size_t items = array_of(y).size() / m;
                if (draws)
                    check_draw_count(self, draws, items);
                items *= std::size_t(std::max<py::ssize_t>(draws, 1));
                const std::uint64_t at = first ? *first : self.count_on(items);
                return draws ? draw_estimator(self, y, noise_var, at, draws, condition)
                             : run_estimator(self, y, noise_var, at, condition);
            },
            py::arg("y"),
            py::arg("noise_var"),
            py::arg("first") = py::none(),
            py::arg("condition") = py::none(),
            py::arg("draws") = 0,
            "(mean, variance, info) as scheme.estimate() gives them. first: index of the first "
            "item; None: the one after\nthose that it has counted, so that no two calls draw the "
            "same noise.")
        .def(
            "set_condition",
            [](core::Estimator& self, const std::string& name, const py::object& values) {
                const auto given = condition_values(name, values);
                self.set_condition(name, given.data(), given.size());
            },
            py::arg("name"),
            py::arg("values"),
            "What a conditional prior is told from now on.")
        .def("reset", &core::Estimator::reset, "Forget the previous answer of the stream.")
        .def("set_steps", &core::Estimator::set_steps, py::arg("steps"))
        .def("set_eta", &core::Estimator::set_eta, py::arg("eta"))
        .def("set_seed", &core::Estimator::set_seed, py::arg("seed"))
        .def("set_noise_freedom", &core::Estimator::set_noise_freedom, py::arg("freedom"))
        .def_property_readonly(
            "max_evaluations",
            &core::Estimator::max_evaluations,
            "Of one item by the present plan; 0 where there is no network or mixture.")
        .def_property_readonly("input_size", &core::Estimator::input_size)
        .def_property_readonly("output_size", &core::Estimator::output_size);

    m.def(
        "nouns",
        [] {
            py::dict all;
            for (const auto& [noun, entries] : core::nouns()) {
                py::list list;
                for (const core::Entry* entry : entries) {
                    py::dict keys;
                    for (const core::Key& key : entry->keys)
                        keys[key.name] = key.documentation;
                    py::dict d;
                    d["name"] = entry->name;
                    d["documentation"] = entry->documentation;
                    d["keys"] = keys;
                    list.append(d);
                }
                all[noun.c_str()] = list;
            }
            return all;
        },
        "Everything that can be chosen by name: {noun: [{name, documentation, keys: {key: "
        "documentation}}]}.");
    m.def(
        "find_packages",
        [](const std::string& models_path) {
            core::LoadOptions options;
            options.models_path = models_path;
            return core::find_packages(options);
        },
        py::arg("models_path") = "",
        "Packages on the search path: a list of (name, folder).");
}

static void bind_ofdm(py::module& m)
{
    m.def(
        "delay_tail_noise",
        [](const complex_array& y, const std::vector<int>& observed, float window, float margin) {
            const std::size_t n = y.shape(y.ndim() - 1);
            const core::DelayTailNoise noise(
                core::mask_from_indices(observed, n, "observed"), window, margin);
            py::array_t<float> out(std::vector<py::ssize_t>(y.shape(), y.shape() + y.ndim() - 1));
            for (py::ssize_t i = 0; i < out.size(); i++)
                out.mutable_data()[i] = noise(y.data() + i * n);
            return out;
        },
        py::arg("y"),
        py::arg("observed"),
        py::arg("window"),
        py::arg("margin") = 1.5f,
        "Noise variance of channel measurements [..., N] from the tail of their delay response.");
    m.def(
        "common_phase",
        [](std::vector<cfloat> z, float memory) {
            core::CommonPhase(memory).track(z);
            return z;
        },
        py::arg("z"),
        py::arg("memory") = 0.8f,
        "exp(j phi) of each symbol from its pilots' sum conj(h p) y.");
}

void bind_core(py::module& parent)
{
    auto m = parent.def_submodule("core", "The maths without blocks.");
    bind_signal(m);
    bind_estimator(m);
    bind_ofdm(m);
}
