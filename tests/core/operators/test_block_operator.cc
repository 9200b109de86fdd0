/*
 * SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Looks through blocks against the dense matrix that they are.
 */
#include "allocations.h"
#include "check.h"
#include "fixtures.h"

#include "operators/block_operator.h"

#include <gnuradio/diffsem/core/infer/condition.h>

#include <vector>

using namespace fixtures;

namespace {

// Blocks are a matrix like any other: the same answers through both, for a mixture in closed form and for proximal steps.
void blocks_are_a_matrix()
{
    Random r(43);
    const Mixture m = mixture(6);
    const auto prior = make_mixture_prior(m.parameters());
    const std::size_t count = 3, rows = 4, cols = 2, n = 6, rows_in_all = 12;
    std::vector<cfloat> values(count * rows * cols), dense(rows_in_all * n);
    const auto fill = [&] {
        std::fill(dense.begin(), dense.end(), cfloat(0));
        for (std::size_t b = 0; b < count; b++)
            for (std::size_t i = 0; i < rows; i++)
                for (std::size_t j = 0; j < cols; j++) {
                    const cfloat v(r.cnormal());
                    values[(b * rows + i) * cols + j] = v;
                    dense[(b * rows + i) * n + j * count + b] = v;
                }
    };
    fill();
    const auto blocks =
        std::make_shared<BlockOperator>(Blocks{values.data(), count, rows, cols, 1, count});
    const Tensor y = to_tensor({r.cvector(12)}), z = to_tensor({r.cvector(6)});
    Sigma noise(1, rows_in_all, 0.3f), level(1, n, 0.8f);
    noise.item(0)[4] = Sigma::unobserved();
    PosteriorDenoiser through(prior, blocks);
    through.measure(y, noise);
    auto space = through.make_workspace(1);
    for (int round = 0; round < 3; round++) { // other numbers in the same operator
        const auto matrix = make_matrix_operator(dense, rows_in_all, n);
        const auto direct = condition(prior, matrix, y, noise);
        auto its_space = direct->make_workspace(1);
        Estimate a(Domain::complex, {6}, 1), b(Domain::complex, {6}, 1);
        for (const Sigma& s : {level, Sigma(Sigma::unobserved())}) {
            through.denoise(z, s, *space, a);
            direct->denoise(z, s, *its_space, b);
            for (std::size_t i = 0; i < n; i++) {
                CHECK_BELOW(std::abs(a.mean.citem(0)[i] - b.mean.citem(0)[i]), 3e-5);
                CHECK_NEAR(a.variance[i], b.variance[i], 3e-5);
            }
        }
        Tensor one(Domain::complex, {6}, 1), other(Domain::complex, {6}, 1);
        std::vector<cdouble> scratch(matrix->scratch_size());
        blocks->proximal(y, noise, z, level, one, scratch.data());
        matrix->proximal(y, noise, z, Sigma(0.8f), other, scratch.data());
        for (std::size_t i = 0; i < n; i++)
            CHECK_BELOW(std::abs(one.citem(0)[i] - other.citem(0)[i]), 3e-5);
        CHECK_NEAR(blocks->power(), matrix->power(), 1e-5);
        fill();
        for (std::size_t b2 = 0; b2 < count; b2++)
            std::copy_n(
                values.begin() + std::ptrdiff_t(b2 * rows * cols), rows * cols, blocks->block(b2));
        const long before = allocations;
        const bool replaced = through.replace(blocks);
        const long taken = allocations - before;
        CHECK(replaced);
#ifdef COUNTS_ALLOCATIONS
        CHECK_EQUAL(taken, 0);
#endif
        (void)taken;
    }
    // Independent Gaussians need no closed form of all elements: a proximal step for each block is exact, at any level of x.
    MixtureParameters apart;
    apart.shape = {6};
    for (std::size_t i = 0; i < n; i++) {
        apart.variances.push_back(0.2 + 0.3 * double(i));
        apart.means.push_back(r.cnormal());
    }
    const auto independent = make_mixture_prior(apart);
    CHECK(!independent->joint(*blocks));
    const auto stepped = condition(independent, blocks, y, noise);
    const auto closed =
        condition(independent, make_matrix_operator(dense, rows_in_all, n), y, noise);
    auto of_stepped = stepped->make_workspace(1), of_closed = closed->make_workspace(1);
    Estimate a(Domain::complex, {6}, 1), b(Domain::complex, {6}, 1);
    for (const Sigma& s : {level, Sigma(Sigma::unobserved())}) {
        stepped->denoise(z, s, *of_stepped, a);
        closed->denoise(z, s, *of_closed, b);
        CHECK(a.has_variance);
        for (std::size_t i = 0; i < n; i++) {
            CHECK_BELOW(std::abs(a.mean.citem(0)[i] - b.mean.citem(0)[i]), 3e-5);
            CHECK_NEAR(a.variance[i], b.variance[i], 3e-6);
        }
    }
}

} // namespace

int main()
{
    blocks_are_a_matrix();
    return check::result("block_operator");
}
