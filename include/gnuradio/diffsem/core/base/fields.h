/*
 * SPDX-License-Identifier: GPL-3.0-or-later
 *
 * The keys of one JSON object of a manifest, with messages that say where it stands.
 */
#pragma once

#include <gnuradio/diffsem/core/base/json.h>
#include <gnuradio/diffsem/core/base/npy.h>

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace gr {
namespace diffsem {
namespace core {

//! Where the files lie that an object names.
class Files
{
public:
    virtual ~Files() = default;
    //! Its path. Throws Error, beginning with `where`, for a file that is not the package's.
    virtual std::string path(const std::string& file, const std::string& where) const = 0;
    virtual std::size_t max_bytes() const = 0;
};

//! Refuses keys that nobody knows; each refusal is an Error that names place, key, value and remedy.
class Fields
{
public:
    //! \param files may be null: then only arrays that stand in the object itself can be read
    Fields(const Json& object,
           std::string where,
           const std::vector<std::string>& known,
           const Files* files = nullptr);
    bool has(const std::string& key) const { return d_object.has(key); }
    std::string text(const std::string& key) const; //!< required
    std::string text(const std::string& key, const std::string& fallback) const;
    double number(const std::string& key, double fallback) const;
    int integer(const std::string& key, int fallback) const;
    bool flag(const std::string& key, bool fallback) const;
    std::vector<std::string>
    names(const std::string& key) const; //!< a list of strings; empty: none
    //! The .npy file that a key names, or a list of numbers in its place (complex: [re, im]).
    //! \param shape -1: any length
    NpyArray array(const std::string& key, const std::vector<std::int64_t>& shape) const;
    std::string file(const std::string& key) const; //!< path of the file that a key names
    [[noreturn]] void fail(const std::string& key, const std::string& message) const;
    const std::string& where() const { return d_where; }

private:
    const Json& d_object;
    std::string d_where;
    const Files* d_files;
};

//! A name, or an object with a "type" ({"type": "mask"}), as such an object; null: the fallback.
Json typed(const Json& value, const char* fallback);

} // namespace core
} // namespace diffsem
} // namespace gr
