/*
 * SPDX-License-Identifier: GPL-3.0-or-later
 *
 * A graph as PDUs meet it: vectors in, vectors out. Private.
 */
#pragma once

#include "finite.h"

#include <gnuradio/diffsem/core/onnx/onnx_runner.h>
#include <gnuradio/gr_complex.h>
#include <pmt/pmt.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string>
#include <vector>

namespace gr {
namespace diffsem {

//! The vectors of PDUs that a graph can take or give.
enum class Vector { none, f32, f64, c32, u8, s32 };

inline Vector kind_of_pdu(const pmt::pmt_t& data)
{
    return pmt::is_f32vector(data)   ? Vector::f32
           : pmt::is_f64vector(data) ? Vector::f64
           : pmt::is_c32vector(data) ? Vector::c32
           : pmt::is_u8vector(data)  ? Vector::u8
           : pmt::is_s32vector(data) ? Vector::s32
                                     : Vector::none;
}

inline const char* name_of(Vector kind)
{
    return kind == Vector::c32   ? "complex"
           : kind == Vector::u8  ? "byte"
           : kind == Vector::s32 ? "int"
           : kind == Vector::f64 ? "double"
                                 : "float";
}

//! One inference at a time: the runner of one worker, and its buffers.
class OnnxPduModel
{
public:
    static constexpr const char* nan = "nan";

    OnnxPduModel(const std::string& path, const core::OnnxRunnerOptions& options, bool byte)
        : d_run(path, options),
          d_in_kind(kind_of(one(path, "input", d_run.inputs()).type)),
          d_out_kind(byte ? Vector::u8 : kind_of(one(path, "output", d_run.outputs()).type)),
          d_in(in_length() * core::stream_size(d_run.inputs()[0].type)),
          d_out(out_length() * core::stream_size(d_run.outputs()[0].type))
    {
    }

    // Copies share the weights.

    Vector in_kind() const { return d_in_kind; }
    Vector out_kind() const { return d_out_kind; }
    std::size_t in_length() const { return d_run.inputs()[0].elements; }
    std::size_t out_length() const { return d_run.outputs()[0].elements; }
    const std::string& note() const { return d_run.note(); }
    bool stateful() const { return d_run.stateful(); }
    void reset() { d_run.reset(); }

    //! Puts a vector into the buffer; what is wrong with it, else null.
    const char* load(const pmt::pmt_t& data)
    {
        const Vector kind = kind_of_pdu(data);
        const bool exact = kind == d_in_kind, octets = kind == Vector::u8;
        const bool widened = d_in_kind == Vector::f64 && kind == Vector::f32;
        if (!exact && !widened && (d_in_kind == Vector::c32 || (!octets && kind != Vector::s32)))
            return "type";
        if (pmt::length(data) != in_length())
            return "size";
        std::size_t bytes = 0;
        const void* from = pmt::uniform_vector_elements(data, bytes);
        if (exact)
            std::memcpy(d_in.data(), from, bytes);
        else if (d_in_kind == Vector::s32)
            convert<std::uint8_t, std::int32_t>(from);
        else if (d_in_kind == Vector::f64)
            widened  ? convert<float, double>(from)
            : octets ? convert<std::uint8_t, double>(from)
                     : convert<std::int32_t, double>(from);
        else if (octets)
            convert<std::uint8_t, float>(from);
        else
            convert<std::int32_t, float>(from);
        const bool doubles = d_in_kind == Vector::f64;
        return d_in_kind == Vector::s32 || all_finite(d_in.data(), d_in.size(), doubles) ? nullptr
                                                                                         : nan;
    }

    //! The answer to what is loaded; null if it holds NaN. Throws what the runtime does.
    pmt::pmt_t infer()
    {
        const void* in = d_in.data();
        void* out = d_out.data();
        d_run.run(&in, 1, &out);
        const std::size_t n = out_length();
        const bool doubles = d_out_kind == Vector::f64;
        if (d_out_kind == Vector::f32 || d_out_kind == Vector::c32 || doubles) {
            if (any_nan(d_out.data(), d_out.size(), doubles))
                return nullptr; // an infinite result may be meant, one that is no number is not
            if (doubles)
                return pmt::init_f64vector(n, reinterpret_cast<const double*>(d_out.data()));
            if (d_out_kind == Vector::f32)
                return pmt::init_f32vector(n, reinterpret_cast<const float*>(d_out.data()));
            return pmt::init_c32vector(n, reinterpret_cast<const gr_complex*>(d_out.data()));
        }
        const auto* ints = reinterpret_cast<const std::int32_t*>(d_out.data());
        if (d_out_kind == Vector::s32)
            return pmt::init_s32vector(n, ints);
        std::vector<std::uint8_t> bytes(n);
        std::transform(ints, ints + n, bytes.begin(), [](std::int32_t v) {
            return static_cast<std::uint8_t>(std::min(std::max(v, 0), 255));
        });
        return pmt::init_u8vector(n, bytes);
    }

    //! What stands for an answer that is not there.
    pmt::pmt_t substitute(const pmt::pmt_t& input, bool pass) const
    {
        const std::size_t n = out_length();
        if (pass && kind_of_pdu(input) == d_out_kind && pmt::length(input) == n)
            return input;
        return d_out_kind == Vector::c32   ? pmt::make_c32vector(n, 0)
               : d_out_kind == Vector::f64 ? pmt::make_f64vector(n, 0)
               : d_out_kind == Vector::s32 ? pmt::make_s32vector(n, 0)
               : d_out_kind == Vector::u8  ? pmt::make_u8vector(n, 0)
                                           : pmt::make_f32vector(n, 0);
    }

private:
    static Vector kind_of(core::StreamType type)
    {
        return type == core::StreamType::complex   ? Vector::c32
               : type == core::StreamType::real64  ? Vector::f64
               : type == core::StreamType::integer ? Vector::s32
                                                   : Vector::f32;
    }

    static const core::OnnxStream&
    one(const std::string& path, const char* what, const std::vector<core::OnnxStream>& streams)
    {
        if (streams.size() != 1)
            throw core::Error(path + ": lists " + std::to_string(streams.size()) + " " + what +
                              "s, a PDU holds one: name it with " + what + "=");
        return streams[0];
    }

    template <typename From, typename To>
    void convert(const void* from)
    {
        std::copy_n(
            static_cast<const From*>(from), in_length(), reinterpret_cast<To*>(d_in.data()));
    }

    core::OnnxRunner d_run;
    const Vector d_in_kind, d_out_kind;
    std::vector<char> d_in, d_out;
};

} // namespace diffsem
} // namespace gr
