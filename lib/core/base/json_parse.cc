/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <gnuradio/diffsem/core/base/json.h>

#include <gnuradio/diffsem/core/base/error.h>

#include <cmath>
#include <locale>
#include <set>
#include <sstream>
#include <vector>

namespace gr {
namespace diffsem {
namespace core {

namespace {

constexpr int max_depth = 32;
constexpr std::size_t max_text = std::size_t(4) << 20;
constexpr std::size_t max_values = 20000;

class Parser
{
public:
    Parser(const std::string& text, const std::string& what) : d_text(text), d_what(what) {}

    Json document()
    {
        if (d_text.size() > max_text)
            fail("longer than " + std::to_string(max_text) + " bytes");
        Json value = parse(0);
        space();
        if (d_at != d_text.size())
            fail("text after the end of the value");
        return value;
    }

private:
    [[noreturn]] void fail(const std::string& message) const
    {
        std::size_t line = 1;
        for (std::size_t i = 0; i < d_at && i < d_text.size(); i++)
            line += d_text[i] == '\n';
        throw Error(d_what + ", line " + std::to_string(line) + ": " + message);
    }

    char peek() const { return d_at < d_text.size() ? d_text[d_at] : '\0'; }

    void space()
    {
        while (d_at < d_text.size() &&
               (peek() == ' ' || peek() == '\n' || peek() == '\t' || peek() == '\r'))
            d_at++;
    }

    void expect(char c)
    {
        if (peek() != c)
            fail(std::string("expected '") + c + "'");
        d_at++;
    }

    bool take(const char* word)
    {
        const std::string w(word);
        if (d_text.compare(d_at, w.size(), w) != 0)
            return false;
        d_at += w.size();
        return true;
    }

    Json parse(int depth)
    {
        if (depth > max_depth)
            fail("nested deeper than " + std::to_string(max_depth));
        if (++d_values > max_values)
            fail("more than " + std::to_string(max_values) + " values");
        space();
        if (peek() == '{')
            return object(depth);
        if (peek() == '[')
            return array(depth);
        if (peek() == '"')
            return Json(string());
        if (take("true"))
            return Json(true);
        if (take("false"))
            return Json(false);
        if (take("null"))
            return Json();
        return number();
    }

    Json object(int depth)
    {
        expect('{');
        std::vector<Json::Member> members;
        std::set<std::string>
            keys; // not a search of the list: thousands of keys must not take seconds
        space();
        if (peek() == '}') {
            d_at++;
            return Json::object();
        }
        for (;;) {
            space();
            std::string key = string();
            if (!keys.insert(key).second) // two readers could otherwise see two different files
                fail("key \"" + key + "\" stands twice");
            space();
            expect(':');
            Json value = parse(depth + 1);
            members.emplace_back(std::move(key), std::move(value));
            space();
            if (peek() != ',')
                break;
            d_at++;
        }
        expect('}');
        return Json::object(std::move(members));
    }

    Json array(int depth)
    {
        expect('[');
        std::vector<Json> items;
        space();
        if (peek() == ']') {
            d_at++;
            return Json::array();
        }
        for (;;) {
            items.push_back(parse(depth + 1));
            space();
            if (peek() != ',')
                break;
            d_at++;
        }
        expect(']');
        return Json::array(std::move(items));
    }

    Json number()
    {
        const std::size_t begin = d_at;
        const auto digits = [&] {
            const std::size_t first = d_at;
            while (peek() >= '0' && peek() <= '9')
                d_at++;
            if (d_at == first)
                fail("not a value");
        };
        if (peek() == '-')
            d_at++;
        if (peek() == '0')
            d_at++;
        else
            digits();
        if (peek() == '.') {
            d_at++;
            digits();
        }
        if (peek() == 'e' || peek() == 'E') {
            d_at++;
            if (peek() == '+' || peek() == '-')
                d_at++;
            digits();
        }
        // Not strtod: the decimal point must not depend on the process's locale.
        std::istringstream in(d_text.substr(begin, d_at - begin));
        in.imbue(std::locale::classic());
        double value = 0;
        in >> value;
        if (in.fail() || !std::isfinite(value))
            fail("number out of range");
        return Json(value);
    }

    unsigned hex4()
    {
        unsigned value = 0;
        for (int i = 0; i < 4; i++, d_at++) {
            const char c = peek();
            const int digit = c >= '0' && c <= '9'   ? c - '0'
                              : c >= 'a' && c <= 'f' ? c - 'a' + 10
                              : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                                     : -1;
            if (digit < 0)
                fail("bad \\u escape");
            value = 16 * value + static_cast<unsigned>(digit);
        }
        return value;
    }

    static void utf8(unsigned code, std::string& out)
    {
        if (code < 0x80) {
            out += static_cast<char>(code);
        } else if (code < 0x800) {
            out += static_cast<char>(0xC0 | code >> 6);
            out += static_cast<char>(0x80 | (code & 63));
        } else if (code < 0x10000) {
            out += static_cast<char>(0xE0 | code >> 12);
            out += static_cast<char>(0x80 | (code >> 6 & 63));
            out += static_cast<char>(0x80 | (code & 63));
        } else {
            out += static_cast<char>(0xF0 | code >> 18);
            out += static_cast<char>(0x80 | (code >> 12 & 63));
            out += static_cast<char>(0x80 | (code >> 6 & 63));
            out += static_cast<char>(0x80 | (code & 63));
        }
    }

    std::string string()
    {
        expect('"');
        std::string out;
        for (;;) {
            if (d_at >= d_text.size())
                fail("string without end");
            const char c = d_text[d_at++];
            if (c == '"')
                return out;
            if (static_cast<unsigned char>(c) < 0x20)
                fail("control character in a string");
            if (c != '\\') {
                out += c;
                continue;
            }
            const char e = peek();
            d_at++;
            const std::string plain = "\"\\/bfnrt", value = "\"\\/\b\f\n\r\t";
            const auto which = plain.find(e);
            if (e != '\0' && which != std::string::npos) {
                out += value[which];
            } else if (e == 'u') {
                unsigned code = hex4();
                if (code >= 0xD800 && code < 0xDC00 && take("\\u")) {
                    const unsigned low = hex4();
                    if (low < 0xDC00 || low > 0xDFFF)
                        fail("bad surrogate pair");
                    code = 0x10000 + ((code - 0xD800) << 10) + (low - 0xDC00);
                } else if (code >= 0xD800 && code < 0xE000) {
                    fail("bad surrogate pair");
                }
                utf8(code, out);
            } else {
                fail("bad escape in a string");
            }
        }
    }

    const std::string& d_text;
    const std::string& d_what;
    std::size_t d_at = 0, d_values = 0;
};

} // namespace

Json Json::parse(const std::string& text, const std::string& what)
{
    return Parser(text, what).document();
}

} // namespace core
} // namespace diffsem
} // namespace gr
