/*
 * SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Clipping: what is below the limit stays, what is above keeps its phase, what is no number becomes 0.
 */
#include "check.h"

#include <gnuradio/diffsem/core/link/clip.h>

#include <cmath>
#include <limits>
#include <vector>

using namespace gr::diffsem::core;

int main()
{
    constexpr float infinite = std::numeric_limits<float>::infinity();
    CHECK_NEAR(clip_limit(10, 0.5), 5, 1e-6);
    CHECK_NEAR(clip_limit(0, 2), 2, 1e-6);
    CHECK(std::isinf(clip_limit(infinite, 1)));

    // powers 25, 24.99, 100, 1e40 (no float), and three that are no numbers
    const std::vector<cfloat> in = {
        {3, 4}, {0, 4.999f}, {-6, 8}, {1e20f, 0}, {NAN, 1}, {1, infinite}, {0, 0}};
    std::vector<cfloat> out(in.size());
    CHECK_EQUAL(clip(in.data(), out.data(), in.size(), 25), std::size_t(4));
    CHECK(out[0] == in[0] && out[1] == in[1] && out[6] == in[6]);
    CHECK_NEAR(std::abs(out[2] - cfloat(-3, 4)), 0, 1e-6);
    CHECK_NEAR(std::abs(out[3] - cfloat(5, 0)), 0, 1e-6);
    CHECK(out[4] == cfloat(0) && out[5] == cfloat(0));

    // Without a limit only those that are no numbers change; in place.
    out = in;
    CHECK_EQUAL(clip(out.data(), out.data(), out.size(), infinite), std::size_t(2));
    CHECK(out[2] == in[2] && out[3] == in[3] && out[5] == cfloat(0));
    return check::result("clip");
}
