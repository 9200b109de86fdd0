/*
 * SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Philox4x32-10 against the known answers published with Random123 (kat_vectors), and the noise
 * made of it.
 */
#include "check.h"
#include "fixtures.h"

#include <gnuradio/diffsem/core/base/philox.h>

#include <vector>

using namespace fixtures;

namespace {

void known_answer(philox_words counter, std::uint32_t k0, std::uint32_t k1, philox_words expected)
{
    const auto found = philox4x32(counter, k0, k1);
    for (std::size_t i = 0; i < 4; i++)
        CHECK_EQUAL(found[i], expected[i]);
}

void moments()
{
    constexpr std::size_t n = 1000, items = 200;
    const Rng rng(7, 3);
    std::vector<float> z(2 * n);
    double power = 0, fourth = 0, correlation = 0, largest = 0;
    std::complex<double> sum = 0, pseudo = 0;
    for (std::size_t b = 0; b < items; b++) {
        rng.fill(b, 1, Domain::complex, n, z.data());
        for (std::size_t i = 0; i < n; i++) {
            const std::complex<double> c(z[2 * i], z[2 * i + 1]);
            sum += c;
            pseudo += c * c;
            power += std::norm(c);
            fourth += std::norm(c) * std::norm(c);
            correlation += z[2 * i] * z[2 * i + 1];
            largest = std::max(largest, std::abs(c));
        }
    }
    const double count = double(n * items);
    CHECK_NEAR(std::abs(sum) / count, 0.0, 0.01);
    CHECK_NEAR(power / count, 1.0, 0.01);
    CHECK_NEAR(fourth / count, 2.0, 0.05); // E|n|^4 of a circular normal
    CHECK_NEAR(std::abs(pseudo) / count, 0.0, 0.01);
    CHECK_NEAR(correlation / count, 0.0, 0.01);
    CHECK(largest > 3.0 && largest < 6.0);

    double square = 0;
    rng.fill(5, 1, Domain::real, 2 * n, z.data());
    for (float v : z)
        square += v * v;
    CHECK_NEAR(square / (2 * n), 1.0, 0.1);
}

// A sample depends on its place alone.
void places()
{
    const Rng rng(1, 2);
    std::vector<float> a(64), b(64);
    rng.fill(9, 4, Domain::complex, 32, a.data());
    rng.fill(9, 4, Domain::complex, 5, b.data()); // fewer elements: the same ones
    for (std::size_t i = 0; i < 10; i++)
        CHECK_EQUAL(a[i], b[i]);
    const auto differs = [&](const Rng& other, std::uint64_t item, std::uint32_t step) {
        other.fill(item, step, Domain::complex, 32, b.data());
        int same = 0;
        for (std::size_t i = 0; i < 64; i++)
            same += a[i] == b[i];
        CHECK_BELOW(same, 2);
    };
    differs(rng, 10, 4);
    differs(rng, 9, 5);
    differs(rng, 9 + (std::uint64_t(1) << 32), 4);
    differs(Rng(2, 2), 9, 4);
    differs(Rng(1, 3), 9, 4);
}

} // namespace

int main()
{
    known_answer({0, 0, 0, 0}, 0, 0, {0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8});
    known_answer({0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff},
                 0xffffffff,
                 0xffffffff,
                 {0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd});
    known_answer({0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344},
                 0xa4093822,
                 0x299f31d0,
                 {0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1});
    moments();
    places();
    return check::result("philox");
}
