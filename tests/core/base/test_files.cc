/*
 * SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Readers of untrusted text and tensors: JSON, .npy, SHA-256.
 */
#include "check.h"
#include "fixtures.h"

#include <gnuradio/diffsem/core/base/json.h>

#include <vector>

using namespace fixtures;

namespace {

void json_values()
{
    const Json v = Json::parse(
        " {\"a\": [1, -2.5e3, true, null], \"b\": {\"c\": \"x\\n\\u00e9\\ud83d\\ude00\"}} ");
    CHECK(v.is_object());
    CHECK_EQUAL(v["a"].items()[0].as_int(), 1);
    CHECK_EQUAL(v["a"].items()[1].as_double(), -2500.0);
    CHECK(v["a"].items()[2].as_bool());
    CHECK(v["a"].items()[3].is_null());
    CHECK_EQUAL(v["b"]["c"].as_string(), "x\n\xc3\xa9\xf0\x9f\x98\x80");
    CHECK(v["no"]["such"]["key"].is_null());
    CHECK(Json::parse(v.dump()).dump() == v.dump());
    CHECK_EQUAL(Json::parse("1e-4").as_double(), 1e-4);
    Json made = Json::object();
    made.set("k", 1);
    made.set("k", "two");
    CHECK_EQUAL(made.dump(), "{\"k\": \"two\"}");
    CHECK_THROWS(v["a"].as_string(), {"expected a string", "[1"});
    CHECK_THROWS(Json(1.5).as_int(), {"whole number"});
}

void json_errors()
{
    for (const char* bad : {"",      "{",       "[1,]",        "{\"a\" 1}",   "{\"a\": 1,}", "01",
                            "+1",    "1.",      ".5",          "1e",          "nul",         "'a'",
                            "\"a",   "\"\\x\"", "\"\\u12g4\"", "\"\\ud800\"", "\"a\nb\"",    "1 2",
                            "1e999", "-",       "{a: 1}",      "NaN"})
        CHECK_THROWS(Json::parse(bad, "file"), {"file, line "});
    CHECK_THROWS(Json::parse("{\"a\": 1,\n \"a\": 2}"), {"line 2", "stands twice"});
    CHECK_THROWS(Json::parse(std::string(100, '[')), {"nested deeper"});
    std::string many = "[0";
    for (int i = 0; i < 30000; i++)
        many += ",0";
    CHECK_THROWS(Json::parse(many + "]"), {"more than 20000 values"});
    CHECK_THROWS(Json::parse(std::string((4 << 20) + 1, ' ')), {"longer than"});
}

void npy_files()
{
    const std::vector<double> d = {1, -2, 3, 4.5, 5, 6};
    const auto a = parse_npy(npy({2, 3}, d), "a.npy");
    CHECK_EQUAL(a.shape.size(), 2u);
    CHECK_EQUAL(a.shape[1], 3);
    CHECK(!a.is_complex && a.data == d);
    const std::vector<float> f = {1, 2, 3, 4};
    const auto c = parse_npy(npy("<c8", {2}, f.data(), 16), "c.npy");
    CHECK(c.is_complex && c.count() == 2 && c.value(1) == cdouble(3, 4));
    CHECK(parse_npy(npy("<f4", {4}, f.data(), 16), "f.npy").real(3) == 4.0);
    const std::vector<std::int64_t> i = {-7};
    CHECK(parse_npy(npy("<i8", {1}, i.data(), 8), "i.npy").real(0) == -7.0);
    CHECK_EQUAL(parse_npy(npy("<f8", {}, d.data(), 8), "scalar.npy").count(), 1u);

    const std::string good = npy({6}, d);
    for (std::size_t cut = 0; cut < good.size(); cut++) // truncated anywhere
        CHECK_THROWS(parse_npy(good.substr(0, cut), "cut.npy"), {"cut.npy"});
    CHECK_THROWS(parse_npy(good + "x", "long.npy"), {"needs 48 bytes, the file has 49"});
    CHECK_THROWS(
        parse_npy(npy("<f8", {0xffffffff, 0xffffffff, 0xffffffff}, d.data(), 48), "huge.npy"),
        {"larger than the file"});
    CHECK_THROWS(parse_npy(npy("<f8", {std::size_t(-1)}, d.data(), 48), "huge.npy"),
                 {"larger than the file"});
    CHECK_THROWS(parse_npy(npy("|O", {6}, d.data(), 48), "object.npy"), {"'|O'", "not supported"});
    CHECK_THROWS(parse_npy(npy(">f8", {6}, d.data(), 48), "big.npy"), {"not supported"});
    std::string fortran = good;
    fortran.replace(fortran.find("False"), 5, "True ");
    CHECK_THROWS(parse_npy(fortran, "f.npy"), {"Fortran order"});
    CHECK_THROWS(read_npy("/no/such/file.npy"), {"no such file"});
    CHECK_THROWS(read_npy("/tmp"), {"not a regular file"});
    Folder folder;
    CHECK_THROWS(read_npy(folder.write("x.npy", good), 10), {"more than the limit of 10"});
}

void hashes() // FIPS 180-4 examples
{
    CHECK_EQUAL(sha256_hex(""), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    CHECK_EQUAL(sha256_hex("abc"),
                "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    CHECK_EQUAL(sha256_hex("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq"),
                "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
    Sha256 parts;
    for (int i = 0; i < 10000; i++)
        parts.update("aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
                     "aaaaaaaaaaaaaaaaaaaaaaa",
                     100);
    CHECK_EQUAL(parts.hex(), "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
    CHECK_THROWS(sha256_file("/no/such/file"), {"cannot read /no/such/file"});
}

} // namespace

int main()
{
    json_values();
    json_errors();
    npy_files();
    hashes();
    return check::result("files");
}
