/*
 * SPDX-License-Identifier: GPL-3.0-or-later
 *
 * From a scheme's name to checked files: search path, manifest, hashes.
 * Everything here is untrusted input; every refusal is an Error that names file, key and remedy.
 */
#pragma once

#include <gnuradio/diffsem/core/base/error.h>
#include <gnuradio/diffsem/core/base/fields.h>
#include <gnuradio/diffsem/core/base/json.h>
#include <gnuradio/diffsem/core/base/load_options.h>

#include "scheme/scheme_string.h"

#include <string>
#include <utility>
#include <vector>

namespace gr {
namespace diffsem {
namespace core {

//! Folders searched for packages, first wins; empty and repeated ones left out.
std::vector<std::string> search_paths(const LoadOptions& options);

struct Package : public Files {
    std::string name;
    std::string folder; //!< of a package folder, else empty
    std::string onnx;   //!< path of a single self-describing file, else empty
    std::string text;   //!< of the manifest, or the metadata as JSON
    Json manifest;      //!< made from the metadata for a single file
    std::string content_hash;
    LoadOptions options; //!< that it was opened with

    //! Of a file that the manifest lists, or that lies beside a single file. Refused: not listed, outside of the folder.
    std::string path(const std::string& file, const std::string& where) const override;
    const LoadOptions& load_options() const override { return options; }
};

/*!
 * Finds, reads and verifies a package. spec.member is set where a path ended in it.
 */
Package open_package(Spec& spec, const LoadOptions& options);

} // namespace core
} // namespace diffsem
} // namespace gr
