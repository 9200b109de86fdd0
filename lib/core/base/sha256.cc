/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <gnuradio/diffsem/core/base/sha256.h>

#include <gnuradio/diffsem/core/base/error.h>

#include <algorithm>
#include <cstring>
#include <fstream>
#include <sys/stat.h>

namespace gr {
namespace diffsem {
namespace core {

namespace {

// FIPS 180-4, 4.2.2: fractional parts of the cube roots of the first 64 primes.
const std::uint32_t k_round[64] = {
    0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5,
    0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174,
    0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da,
    0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967,
    0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85,
    0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070,
    0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
    0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2};

std::uint32_t rotr(std::uint32_t x, int n)
{
    return (x >> n) | (x << (32 - n));
}

} // namespace

Sha256::Sha256()
    : d_h{0x6a09e667,
          0xbb67ae85,
          0x3c6ef372,
          0xa54ff53a,
          0x510e527f,
          0x9b05688c,
          0x1f83d9ab,
          0x5be0cd19}
{
}

void Sha256::block(const std::uint8_t* p)
{
    std::uint32_t w[64];
    for (int i = 0; i < 16; i++)
        w[i] = std::uint32_t(p[4 * i]) << 24 | std::uint32_t(p[4 * i + 1]) << 16 |
               std::uint32_t(p[4 * i + 2]) << 8 | p[4 * i + 3];
    for (int i = 16; i < 64; i++) {
        const std::uint32_t s0 = rotr(w[i - 15], 7) ^ rotr(w[i - 15], 18) ^ (w[i - 15] >> 3);
        const std::uint32_t s1 = rotr(w[i - 2], 17) ^ rotr(w[i - 2], 19) ^ (w[i - 2] >> 10);
        w[i] = w[i - 16] + s0 + w[i - 7] + s1;
    }
    std::uint32_t v[8];
    std::copy(d_h, d_h + 8, v);
    for (int i = 0; i < 64; i++) {
        const std::uint32_t s1 = rotr(v[4], 6) ^ rotr(v[4], 11) ^ rotr(v[4], 25);
        const std::uint32_t ch = (v[4] & v[5]) ^ (~v[4] & v[6]);
        const std::uint32_t t1 = v[7] + s1 + ch + k_round[i] + w[i];
        const std::uint32_t s0 = rotr(v[0], 2) ^ rotr(v[0], 13) ^ rotr(v[0], 22);
        const std::uint32_t maj = (v[0] & v[1]) ^ (v[0] & v[2]) ^ (v[1] & v[2]);
        std::copy_backward(v, v + 7, v + 8);
        v[4] += t1;
        v[0] = t1 + s0 + maj;
    }
    for (int i = 0; i < 8; i++)
        d_h[i] += v[i];
}

void Sha256::update(const void* data, std::size_t bytes)
{
    auto p = static_cast<const std::uint8_t*>(data);
    d_bytes += bytes;
    while (bytes) {
        const std::size_t n = std::min(bytes, sizeof(d_buffer) - d_used);
        std::memcpy(d_buffer + d_used, p, n);
        d_used += n;
        p += n;
        bytes -= n;
        if (d_used == sizeof(d_buffer)) {
            block(d_buffer);
            d_used = 0;
        }
    }
}

std::string Sha256::hex()
{
    const std::uint64_t bits = 8 * d_bytes;
    const std::uint8_t one = 0x80, zero = 0;
    update(&one, 1);
    while (d_used != 56)
        update(&zero, 1);
    std::uint8_t length[8];
    for (int i = 0; i < 8; i++)
        length[i] = std::uint8_t(bits >> (56 - 8 * i));
    update(length, 8);
    std::string out;
    for (auto h : d_h)
        for (int shift = 28; shift >= 0; shift -= 4)
            out += "0123456789abcdef"[h >> shift & 15];
    return out;
}

std::string sha256_hex(const std::string& bytes)
{
    Sha256 sha;
    sha.update(bytes.data(), bytes.size());
    return sha.hex();
}

std::string sha256_file(const std::string& path)
{
    std::ifstream file(path, std::ios::binary);
    if (!file)
        throw Error("cannot read " + path);
    Sha256 sha;
    char buffer[16384];
    while (file.read(buffer, sizeof(buffer)) || file.gcount())
        sha.update(buffer, static_cast<std::size_t>(file.gcount()));
    if (file.bad())
        throw Error("error while reading " + path);
    return sha.hex();
}

std::string read_file(const std::string& path, std::size_t max_bytes)
{
    struct stat st;
    if (stat(path.c_str(), &st) != 0)
        throw Error("no such file: " + path);
    if (!S_ISREG(st.st_mode)) // a pipe or device would block or never end
        throw Error(path + " is not a regular file");
    if (static_cast<std::uint64_t>(st.st_size) > max_bytes)
        throw Error(path + " has " + std::to_string(st.st_size) +
                    " bytes, more than the limit of " + std::to_string(max_bytes));
    std::ifstream file(path, std::ios::binary);
    std::string bytes(static_cast<std::size_t>(st.st_size), '\0');
    if (!file || (st.st_size && !file.read(&bytes[0], st.st_size)))
        throw Error("cannot read " + path);
    return bytes;
}

} // namespace core
} // namespace diffsem
} // namespace gr
