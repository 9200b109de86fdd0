/*
 * SPDX-License-Identifier: GPL-3.0-or-later
 *
 * JSON (RFC 8259) as an immutable value. Written for untrusted manifests: depth, text size and
 * number of values are bounded, duplicate keys are refused.
 */
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace gr {
namespace diffsem {
namespace core {

class Json
{
public:
    enum class Type { null, boolean, number, string, array, object };
    using Member = std::pair<std::string, Json>;

    Json() = default;
    Json(bool value);
    Json(double value);
    Json(int value) : Json(static_cast<double>(value)) {}
    Json(const char* value);
    Json(std::string value);
    static Json array(std::vector<Json> items = {});
    static Json object(std::vector<Member> members = {});

    //! \param what named in the message of the Error that bad text raises ("manifest.json")
    static Json parse(const std::string& text, const std::string& what = "JSON");

    Type type() const { return d_type; }
    bool is_null() const { return d_type == Type::null; }
    bool is_bool() const { return d_type == Type::boolean; }
    bool is_number() const { return d_type == Type::number; }
    bool is_string() const { return d_type == Type::string; }
    bool is_array() const { return d_type == Type::array; }
    bool is_object() const { return d_type == Type::object; }

    // Each throws Error when the value is of another type.
    bool as_bool() const;
    double as_double() const;
    std::int64_t as_int() const; //!< must be integral
    const std::string& as_string() const;
    const std::vector<Json>& items() const;     //!< of an array
    const std::vector<Member>& members() const; //!< of an object, in file order

    bool has(const std::string& key) const; //!< false for what is not an object
    //! Member of an object; a null value where there is none (also of what is not an object).
    const Json& operator[](const std::string& key) const;
    std::size_t size() const; //!< of an array or object, else 0

    void set(const std::string& key, Json value); //!< makes a null value an object
    std::string dump() const;                     //!< one line

private:
    Type d_type = Type::null;
    bool d_bool = false;
    double d_number = 0;
    std::string d_string;
    std::vector<Json> d_items;
    std::vector<Member> d_members;
};

const char* type_name(Json::Type type);

} // namespace core
} // namespace diffsem
} // namespace gr
