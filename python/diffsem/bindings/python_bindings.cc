/*
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#include "bindings.h"

#include <gnuradio/diffsem/core/base/error.h>
#include <gnuradio/diffsem/set_nice.h>

// Each is in the file <name>_python.cc. A scheme is a parameter of blocks, so it comes first; core before what adds to it.
#define DIFFSEM_BINDINGS(X)                                                                        \
    X(scheme)                                                                                      \
    X(core)                                                                                        \
    X(joint)                                                                                       \
    X(tiled)                                                                                       \
    X(estimate)                                                                                    \
    X(estimate_joint)                                                                              \
    X(ofdm_chanest_vcvc)                                                                           \
    X(ofdm_grid_chanest)                                                                           \
    X(ofdm_equalizer_diffsem)                                                                      \
    X(dvbt)                                                                                        \
    X(soft_demapper_cf)                                                                            \
    X(onnx_inference)                                                                              \
    X(onnx_inference_pdu)                                                                          \
    X(semantic)                                                                                    \
    X(operator_)                                                                                   \
    X(photo)                                                                                       \
    X(picture)

#define DIFFSEM_DECLARE(name) void bind_##name(py::module& m);
DIFFSEM_BINDINGS(DIFFSEM_DECLARE)

PYBIND11_MODULE(diffsem_python, m)
{
    m.doc() = "GNU Radio blocks for channel estimation under a learned diffusion prior";
    // the base classes of our blocks and of the equaliser
    py::module::import("gnuradio.gr");
    py::module::import("gnuradio.digital");

    // What a user gave was wrong: the exception Python has for that.
    py::register_exception_translator([](std::exception_ptr p) {
        try {
            if (p)
                std::rethrow_exception(p);
        } catch (const gr::diffsem::core::Error& e) {
            PyErr_SetString(PyExc_ValueError, e.what());
        }
    });

#define DIFFSEM_BIND(name) bind_##name(m);
    DIFFSEM_BINDINGS(DIFFSEM_BIND)

    m.def("set_nice",
          &gr::diffsem::set_nice,
          py::arg("block"),
          py::arg("nice") = 19,
          R"(Make the thread of a block give way to the others (Linux).

For a block that polls: gr-digital's header_payload_demux asks again and again while a header is decoded, and on a
full processor takes from the blocks that it waits for as much time as they need. Call it before start(), and again
before each restart. Other programs, too, come before a block that gives way.

block: any but a hier block; of that, one of its parts. nice: 1 .. 19, 19 gives way most. Raises ValueError where
nice is out of range, or where the block was started before.)");
}
