/*
 * SPDX-License-Identifier: GPL-3.0-or-later
 *
 * From the string that names a scheme to checked files: grammar, search path, manifest, hashes.
 * Everything here is untrusted input; every refusal is an Error that names file, key and remedy.
 */
#pragma once

#include <gnuradio/diffsem/core/base/error.h>
#include <gnuradio/diffsem/core/base/json.h>
#include <gnuradio/diffsem/core/base/load_options.h>

#include <initializer_list>
#include <string>
#include <utility>
#include <vector>

namespace gr {
namespace diffsem {
namespace core {

//! NAME[/MEMBER][:key=value,...]
struct Spec {
    std::string name; //!< of a package, or a path
    std::string member;
    std::vector<std::pair<std::string, std::string>> overrides;

    //! Value of an override, null when it is not given.
    const std::string* find(const std::string& key) const;
};
Spec parse_spec(const std::string& text);

//! Folders searched for packages, first wins; empty and repeated ones left out.
std::vector<std::string> search_paths(const LoadOptions& options);

struct Package {
    std::string name;
    std::string folder; //!< of a package folder, else empty
    std::string onnx;   //!< path of a single self-describing file, else empty
    std::string text;   //!< of the manifest, or the metadata as JSON
    Json manifest;      //!< made from the metadata for a single file
    std::string content_hash;
};

/*!
 * Finds, reads and verifies a package. spec.member is set where a path ended in it.
 */
Package open_package(Spec& spec, const LoadOptions& options);

//! Path of a file that the manifest lists. Refused: not listed, outside of the folder.
std::string package_file(const Package& package, const std::string& file, const std::string& where);

/*!
 * Keys of one JSON object with messages that say where it stands; refuses keys nobody knows.
 */
class Fields
{
public:
    Fields(const Json& object, std::string where, std::initializer_list<const char*> known);
    bool has(const std::string& key) const { return d_object.has(key); }
    std::string text(const std::string& key) const; //!< required
    std::string text(const std::string& key, const std::string& fallback) const;
    double number(const std::string& key, double fallback) const;
    int integer(const std::string& key, int fallback) const;
    [[noreturn]] void fail(const std::string& key, const std::string& message) const;

private:
    const Json& d_object;
    std::string d_where;
};

} // namespace core
} // namespace diffsem
} // namespace gr
