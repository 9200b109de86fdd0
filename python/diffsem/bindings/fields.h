/*
 * SPDX-License-Identifier: GPL-3.0-or-later
 *
 * A block's constructor from a table: a line for each parameter, with its name, where it goes in the block's struct of
 * options (whose default is Python's too), and what it means. Order, defaults and docstring follow. Private.
 */
#pragma once

#include "bindings.h"

#include <functional>
#include <string>
#include <tuple>
#include <type_traits>
#include <utility>

//! A parameter that has no default, of type T.
template <typename T>
struct needed {
    const char* name;
    const char* doc;
};

//! A parameter of type T in Python; `get` is a pointer to a member, or gives a reference from the options.
template <typename T, typename Get, typename Read>
struct field {
    using type = T;
    const char* name;
    Get get;
    const char* doc;
    py::object said; //!< the default where it is not what the struct says
    Read read;       //!< from T to what the struct holds
};

struct as_it_is {
    template <typename T>
    T&& operator()(T&& value) const
    {
        return std::forward<T>(value);
    }
};

template <typename Options, typename Get>
using type_in = std::decay_t<std::invoke_result_t<Get, Options&>>;

//! The lines of a table for one struct of options.
template <typename Options>
struct fields_of {
    template <typename Get>
    static auto line(const char* name, Get get, const char* doc)
    {
        return field<type_in<Options, Get>, Get, as_it_is>{name, get, doc, {}, {}};
    }
    //! Of another type in Python: its default there, and how it is read.
    template <typename Get, typename T, typename Read>
    static auto line(const char* name, Get get, T said, Read read, const char* doc)
    {
        return field<T, Get, Read>{name, get, doc, said, read};
    }
    //! What every inference block has; `overloads` lists its policies.
    static auto live(const char* overloads)
    {
        return std::make_tuple(
            line(
                "deadline",
                [](auto& o) -> auto& { return o.live.deadline; },
                "milliseconds from when an item's last sample entered the flowgraph to its output; "
                "0: none."),
            line(
                "overload", [](auto& o) -> auto& { return o.live.overload; }, overloads),
            line(
                "fault_limit",
                [](auto& o) -> auto& { return o.live.fault_limit; },
                "failed inferences in a row that switch it off; 0: never."));
    }
};

namespace detail {

template <typename Line>
std::string doc_of(const Line& line)
{
    return std::string(line.name) + ": " + line.doc + "\n";
}

template <typename Options, typename T, typename Get, typename Read>
py::arg_v argument(const field<T, Get, Read>& f)
{
    if constexpr (std::is_same_v<Read, as_it_is>) {
        Options defaults;
        return py::arg_v(f.name, T(std::invoke(f.get, defaults)));
    } else {
        return py::arg_v(f.name, f.said);
    }
}

template <typename Options,
          typename Class,
          typename Make,
          typename... N,
          typename... F,
          std::size_t... I>
void init(Class& block,
          Make make,
          const std::tuple<needed<N>...>& needs,
          const std::tuple<F...>& fields,
          std::index_sequence<I...>)
{
    const std::string doc =
        std::apply([](const auto&... line) { return (std::string() + ... + doc_of(line)); },
                   std::tuple_cat(needs, fields));
    const auto from_python = [make, fields](N... given, typename F::type... values) {
        Options options;
        const auto put = [&](const auto& f, auto& value) {
            std::invoke(f.get, options) = f.read(std::move(value));
        };
        (put(std::get<I>(fields), values), ...);
        return make(std::move(given)..., options);
    };
    std::apply(
        [&](const auto&... need) {
            block.def(py::init(from_python),
                      py::arg(need.name)...,
                      argument<Options>(std::get<I>(fields))...,
                      doc.c_str());
        },
        needs);
}

} // namespace detail

//! The constructor `make(needed..., options)` with these parameters.
template <typename Options, typename Class, typename Make, typename... N, typename... F>
void def_init(Class& block,
              Make make,
              const std::tuple<needed<N>...>& needs,
              const std::tuple<F...>& fields)
{
    detail::init<Options>(block, make, needs, fields, std::index_sequence_for<F...>());
}
