/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <gnuradio/diffsem/core/base/json.h>

#include <gnuradio/diffsem/core/base/error.h>

#include <cmath>
#include <cstdio>
#include <locale>
#include <sstream>
#include <vector>

namespace gr {
namespace diffsem {
namespace core {

namespace {

void write_string(const std::string& s, std::string& out)
{
    out += '"';
    for (const char c : s) {
        if (c == '"' || c == '\\') {
            out += '\\';
            out += c;
        } else if (static_cast<unsigned char>(c) < 0x20) {
            char escape[8];
            std::snprintf(escape, sizeof(escape), "\\u%04x", static_cast<unsigned>(c));
            out += escape;
        } else {
            out += c;
        }
    }
    out += '"';
}

void write(const Json& v, std::string& out)
{
    const char* separator = "";
    switch (v.type()) {
    case Json::Type::null:
        out += "null";
        break;
    case Json::Type::boolean:
        out += v.as_bool() ? "true" : "false";
        break;
    case Json::Type::number: {
        std::ostringstream s;
        s.imbue(std::locale::classic());
        s.precision(17);
        s << v.as_double();
        out += s.str();
        break;
    }
    case Json::Type::string:
        write_string(v.as_string(), out);
        break;
    case Json::Type::array:
        out += '[';
        for (const auto& item : v.items()) {
            out += separator;
            write(item, out);
            separator = ", ";
        }
        out += ']';
        break;
    case Json::Type::object:
        out += '{';
        for (const auto& m : v.members()) {
            out += separator;
            write_string(m.first, out);
            out += ": ";
            write(m.second, out);
            separator = ", ";
        }
        out += '}';
        break;
    }
}

[[noreturn]] void wrong_type(Json::Type expected, const Json& value)
{
    throw Error(std::string("expected a ") + type_name(expected) + ", found " +
                value.dump().substr(0, 60));
}

const Json null_value;

} // namespace

Json::Json(bool value) : d_type(Type::boolean), d_bool(value) {}
Json::Json(double value) : d_type(Type::number), d_number(value) {}
Json::Json(const char* value) : d_type(Type::string), d_string(value) {}
Json::Json(std::string value) : d_type(Type::string), d_string(std::move(value)) {}

Json Json::array(std::vector<Json> items)
{
    Json v;
    v.d_type = Type::array;
    v.d_items = std::move(items);
    return v;
}

Json Json::object(std::vector<Member> members)
{
    Json v;
    v.d_type = Type::object;
    v.d_members = std::move(members);
    return v;
}

bool Json::as_bool() const
{
    if (!is_bool())
        wrong_type(Type::boolean, *this);
    return d_bool;
}

double Json::as_double() const
{
    if (!is_number())
        wrong_type(Type::number, *this);
    return d_number;
}

std::int64_t Json::as_int() const
{
    const double v = as_double();
    if (v != std::floor(v) || std::fabs(v) > 9e15)
        throw Error("expected a whole number, found " + dump());
    return static_cast<std::int64_t>(v);
}

const std::string& Json::as_string() const
{
    if (!is_string())
        wrong_type(Type::string, *this);
    return d_string;
}

const std::vector<Json>& Json::items() const
{
    if (!is_array())
        wrong_type(Type::array, *this);
    return d_items;
}

const std::vector<Json::Member>& Json::members() const
{
    if (!is_object())
        wrong_type(Type::object, *this);
    return d_members;
}

bool Json::has(const std::string& key) const
{
    for (const auto& m : d_members)
        if (m.first == key)
            return true;
    return false;
}

const Json& Json::operator[](const std::string& key) const
{
    for (const auto& m : d_members)
        if (m.first == key)
            return m.second;
    return null_value;
}

std::size_t Json::size() const
{
    return is_array() ? d_items.size() : d_members.size();
}

void Json::set(const std::string& key, Json value)
{
    if (is_null())
        d_type = Type::object;
    members(); // throws when this is no object
    for (auto& m : d_members)
        if (m.first == key) {
            m.second = std::move(value);
            return;
        }
    d_members.emplace_back(key, std::move(value));
}

std::string Json::dump() const
{
    std::string out;
    write(*this, out);
    return out;
}

const char* type_name(Json::Type type)
{
    switch (type) {
    case Json::Type::null:
        return "null";
    case Json::Type::boolean:
        return "boolean";
    case Json::Type::number:
        return "number";
    case Json::Type::string:
        return "string";
    case Json::Type::array:
        return "list";
    case Json::Type::object:
        return "object";
    }
    return "value";
}

} // namespace core
} // namespace diffsem
} // namespace gr
