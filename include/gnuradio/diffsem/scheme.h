/*
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#pragma once

#include <gnuradio/diffsem/api.h>
#include <gnuradio/diffsem/core/infer/scheme.h>

#include <memory>
#include <mutex>
#include <string>

namespace gr {
namespace diffsem {

/*!
 * \brief Names one scheme: a choice of prior, operator, start, sampler and plan.
 * \ingroup diffsem
 *
 * Making a handle costs nothing and never fails, so a flowgraph editor can evaluate it at every
 * keystroke; the package is read at the first get() or load(), once, and then shared, immutable, by
 * every block that holds the handle. In Python a plain string stands for a handle wherever one is
 * asked for.
 */
class DIFFSEM_API scheme
{
public:
    using sptr = std::shared_ptr<scheme>;

    /*!
     * \param spec        `NAME[/MEMBER][:key=value,...]`, the path of an `.onnx` or of a package, or
     *                    `ls` (no prior: the measurement is the estimate)
     * \param models_path colon list of folders searched first; empty: section `[diffsem]`, key
     *                    `models_path` of GNU Radio's preferences, then the installed packages
     * \param onnxruntime path of libonnxruntime.so; empty: key `onnxruntime` of the same section,
     *                    then the usual places
     */
    static sptr make(const std::string& spec,
                     const std::string& models_path = "",
                     const std::string& onnxruntime = "");

    //! Another scheme, looked for in the same places.
    sptr other(const std::string& spec) const;

    //! The string it was made from.
    const std::string& spec() const { return d_spec; }

    /*!
     * \brief The loaded scheme; loads it at the first call. Thread safe.
     * \throws core::Error (ValueError in Python) when it cannot be had: says what was looked for,
     *         and what to do.
     */
    std::shared_ptr<const core::Scheme> get();

private:
    scheme(const std::string& spec, const core::LoadOptions& options);

    const std::string d_spec;
    const core::LoadOptions d_options;
    std::mutex d_mutex;
    std::shared_ptr<const core::Scheme> d_scheme;
};

} // namespace diffsem
} // namespace gr
