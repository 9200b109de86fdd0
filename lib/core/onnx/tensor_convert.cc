/*
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#include "onnx/tensor_convert.h"

#include <Eigen/Core>
#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <type_traits>

namespace gr {
namespace diffsem {
namespace core {
namespace {

// Two bytes an element: read and written as floats.
template <typename T>
constexpr bool is_half = std::is_same_v<T, Eigen::half> || std::is_same_v<T, Eigen::bfloat16>;

//! Of two integers of any signs.
template <typename To, typename From>
To saturate(From value)
{
    using Limits = std::numeric_limits<To>;
    if (std::is_signed_v<From> && value < From(0)) {
        if constexpr (std::is_unsigned_v<To>)
            return 0;
        else
            return static_cast<std::int64_t>(value) < static_cast<std::int64_t>(Limits::min())
                       ? Limits::min()
                       : static_cast<To>(value);
    }
    return static_cast<std::uint64_t>(value) > static_cast<std::uint64_t>(Limits::max())
               ? Limits::max()
               : static_cast<To>(value);
}

/*!
 * Rounds and saturates where the target is an integer. The limits of 64 bits are no doubles, but what a double rounds
 * them to lies just outside.
 */
template <typename To, typename From>
To convert(From value)
{
    if constexpr (is_half<From>) {
        return convert<To>(static_cast<float>(value));
    } else if constexpr (is_half<To>) {
        return static_cast<To>(static_cast<float>(value));
    } else if constexpr (std::is_same_v<To, bool>) {
        return value != From(0);
    } else if constexpr (std::is_integral_v<To> && std::is_floating_point_v<From>) {
        const double x = std::nearbyint(static_cast<double>(value));
        if (!(x > static_cast<double>(std::numeric_limits<To>::min())))
            return std::numeric_limits<To>::min();
        if (x >= static_cast<double>(std::numeric_limits<To>::max()))
            return std::numeric_limits<To>::max();
        return static_cast<To>(x);
    } else if constexpr (std::is_integral_v<To> && std::is_integral_v<From>) {
        return saturate<To>(value);
    } else {
        return static_cast<To>(value);
    }
}

template <typename To>
void put(const void* stream, const StreamEnd& end, std::size_t batch, To* out)
{
    if (end.stream == StreamType::integer) {
        const auto* ints = static_cast<const std::int32_t*>(stream);
        std::transform(ints, ints + batch * end.width, out, convert<To, std::int32_t>);
        return;
    }
    if (end.stream == StreamType::real64) {
        const auto* doubles = static_cast<const double*>(stream);
        std::transform(doubles, doubles + batch * end.width, out, convert<To, double>);
        return;
    }
    const auto* in = static_cast<const float*>(stream);
    if (end.stream != StreamType::complex || end.layout == Layout::interleaved) {
        if constexpr (std::is_same_v<To, float>)
            std::memcpy(out, in, batch * end.width * sizeof(float));
        else
            std::transform(in, in + batch * end.width, out, convert<To, float>);
        return;
    }
    const std::size_t n = end.elements;
    for (std::size_t b = 0; b < batch; ++b, in += 2 * n, out += 2 * n) {
        if (end.layout == Layout::planar) {
            for (std::size_t i = 0; i < n; ++i) {
                out[i] = convert<To>(in[2 * i]);
                out[n + i] = convert<To>(in[2 * i + 1]);
            }
        } else {
            for (std::size_t i = 0; i < n; ++i) {
                out[i] = convert<To>(std::hypot(in[2 * i], in[2 * i + 1]));
                out[n + i] = convert<To>(std::atan2(in[2 * i + 1], in[2 * i]));
            }
        }
    }
}

template <typename From>
void take(const From* in, const StreamEnd& end, std::size_t batch, void* out)
{
    const std::size_t count = batch * end.width;
    if (end.stream == StreamType::integer) {
        std::transform(
            in, in + count, static_cast<std::int32_t*>(out), convert<std::int32_t, From>);
        return;
    }
    if (end.stream == StreamType::real64) {
        std::transform(in, in + count, static_cast<double*>(out), convert<double, From>);
        return;
    }
    auto* to = static_cast<float*>(out);
    if (end.stream == StreamType::real || end.layout == Layout::interleaved) {
        if constexpr (std::is_same_v<From, float>)
            std::memcpy(to, in, count * sizeof(float));
        else
            std::transform(in, in + count, to, convert<float, From>);
        return;
    }
    const std::size_t n = end.elements;
    for (std::size_t b = 0; b < batch; ++b, in += 2 * n, to += 2 * n)
        for (std::size_t i = 0; i < n; ++i) {
            const float first = convert<float>(in[i]), second = convert<float>(in[n + i]);
            const bool polar = end.layout == Layout::magnitude_phase;
            to[2 * i] = polar ? first * std::cos(second) : first;
            to[2 * i + 1] = polar ? first * std::sin(second) : second;
        }
}

//! Calls f with a typed pointer to the tensor.
template <typename F>
void with_type(ElemType type, void* tensor, F f)
{
    switch (type) {
    case ElemType::float32:
        return f(static_cast<float*>(tensor));
    case ElemType::float64:
        return f(static_cast<double*>(tensor));
    case ElemType::float16:
        return f(static_cast<Eigen::half*>(tensor));
    case ElemType::bfloat16:
        return f(static_cast<Eigen::bfloat16*>(tensor));
    case ElemType::int64:
        return f(static_cast<std::int64_t*>(tensor));
    case ElemType::uint64:
        return f(static_cast<std::uint64_t*>(tensor));
    case ElemType::int32:
        return f(static_cast<std::int32_t*>(tensor));
    case ElemType::uint32:
        return f(static_cast<std::uint32_t*>(tensor));
    case ElemType::int16:
        return f(static_cast<std::int16_t*>(tensor));
    case ElemType::uint16:
        return f(static_cast<std::uint16_t*>(tensor));
    case ElemType::int8:
        return f(static_cast<std::int8_t*>(tensor));
    case ElemType::uint8:
        return f(static_cast<std::uint8_t*>(tensor));
    case ElemType::boolean:
        return f(static_cast<bool*>(tensor));
    default:
        break; // convertible() was asked before
    }
}

} // namespace

bool convertible(ElemType type)
{
    switch (type) {
    case ElemType::float32:
    case ElemType::float64:
    case ElemType::float16:
    case ElemType::bfloat16:
    case ElemType::int64:
    case ElemType::uint64:
    case ElemType::int32:
    case ElemType::uint32:
    case ElemType::int16:
    case ElemType::uint16:
    case ElemType::int8:
    case ElemType::uint8:
    case ElemType::boolean:
        return true;
    default:
        return false;
    }
}

StreamType natural_stream(ElemType type)
{
    switch (type) {
    case ElemType::float32:
    case ElemType::float16:
    case ElemType::bfloat16:
        return StreamType::real;
    case ElemType::float64:
        return StreamType::real64;
    default:
        return StreamType::integer;
    }
}

void to_tensor(const void* in, const StreamEnd& end, std::size_t batch, void* tensor)
{
    with_type(end.tensor.type, tensor, [&](auto* to) { put(in, end, batch, to); });
}

void from_tensor(const void* tensor, const StreamEnd& end, std::size_t batch, void* out)
{
    with_type(end.tensor.type, const_cast<void*>(tensor), [&](const auto* from) {
        take(from, end, batch, out);
    });
}

void fill(const std::vector<double>& values, ElemType type, std::size_t count, void* tensor)
{
    with_type(type, tensor, [&](auto* to) {
        using To = std::remove_pointer_t<decltype(to)>;
        for (std::size_t i = 0; i < count; ++i)
            to[i] = convert<To, double>(values[i % values.size()]);
    });
}

std::vector<double> as_doubles(const void* tensor, ElemType type, std::size_t count)
{
    std::vector<double> values(count);
    with_type(type, const_cast<void*>(tensor), [&](const auto* from) {
        using From = std::remove_cv_t<std::remove_pointer_t<decltype(from)>>;
        std::transform(from, from + count, values.begin(), convert<double, From>);
    });
    return values;
}

bool holds_no_number(const void* tensor, ElemType type, std::size_t count, bool infinite_too)
{
    bool found = false;
    with_type(type, const_cast<void*>(tensor), [&](const auto* from) {
        using From = std::remove_cv_t<std::remove_pointer_t<decltype(from)>>;
        if constexpr (!std::is_integral_v<From>)
            found = std::any_of(from, from + count, [&](From value) {
                const auto x = convert<double>(value);
                return std::isnan(x) || (infinite_too && std::isinf(x));
            });
    });
    return found;
}

} // namespace core
} // namespace diffsem
} // namespace gr
