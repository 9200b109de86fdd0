/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <gnuradio/diffsem/core/base/error.h>

#include "operators/operator_table.h"

#include <cmath>
#include <vector>

namespace gr {
namespace diffsem {
namespace core {

namespace {

constexpr std::size_t most_elements =
    512; // a matrix is kept, and decomposed when an estimator is made: seconds

/*
 * A Toeplitz matrix, kept as a matrix: so its proximal step is exact with unequal noise and at the edges, where the
 * discrete Fourier transform would not diagonalise it, and closed-form priors are exact under it.
 */
std::shared_ptr<const Operator>
make_convolution(const std::vector<cfloat>& taps, bool circular, std::size_t n)
{
    if (n > most_elements || taps.size() > n)
        throw Error("the operator 'convolution' has " + std::to_string(taps.size()) +
                    " taps for vectors of " + std::to_string(n) + ": there may be " +
                    std::to_string(most_elements) + " elements, and no more taps than elements");
    const std::size_t rows = circular ? n : n + taps.size() - 1;
    std::vector<cfloat> a(rows * n);
    for (std::size_t i = 0; i < n; i++)
        for (std::size_t l = 0; l < taps.size(); l++)
            a[(i + l) % rows * n + i] += taps[l];
    auto op = make_dense_operator("convolution", std::move(a), rows, n);
    check_scale(*op, "scale the taps, and y with them");
    return op;
}

OperatorMaker read(const Fields& fields, const SignalShape& signal)
{
    if (signal.domain != Domain::complex)
        throw Error(fields.where() + ": the operator 'convolution' needs a complex signal");
    if (!fields.has("taps"))
        throw Error(fields.where() + ": the key 'taps' is missing: give the impulse response");
    const NpyArray given = fields.array("taps", {-1});
    std::vector<cfloat> taps;
    bool zero = true;
    for (std::size_t i = 0; i < given.count(); i++) {
        taps.push_back(cfloat(given.value(i)));
        zero = zero && taps.back() == cfloat(0.0f);
        if (!std::isfinite(std::abs(taps.back())))
            fields.fail("taps", "must be finite");
    }
    if (zero)
        fields.fail("taps", "must hold a tap that is not zero");
    const std::string boundary = fields.text("boundary", "circular");
    if (boundary != "circular" && boundary != "linear")
        fields.fail(
            "boundary",
            "must be 'circular' (N values, as behind a cyclic prefix) or 'linear' (N + L - 1)");
    return [taps, boundary](const OperatorInput& input) {
        refuse_observed(input);
        refuse_matrix(input, "convolution");
        return make_convolution(taps, boundary == "circular", input.size);
    };
}

OperatorEntry entry()
{
    OperatorEntry e{{"convolution",
                     "y = a * x + n with given taps a: intersymbol interference (Proakis, Digital "
                     "Communications, eq. 9.3-3). "
                     "Complex signals of at most 512 elements.",
                     {list_key("taps",
                               "a [L]: file, or a list of numbers or of [real, imaginary] (in a "
                               "string 1;0.5-0.3j)"),
                      text_key("boundary",
                               "`circular` (default; y has N values, as behind a cyclic prefix) "
                               "or `linear` (N + L - 1)")}},
                    read};
    e.example = R"({"taps": [1, [0.5, -0.3], 0.2], "boundary": "linear"})";
    return e;
}

} // namespace

const OperatorEntry& convolution_operator()
{
    static const OperatorEntry e = entry();
    return e;
}

} // namespace core
} // namespace diffsem
} // namespace gr
