/*
 * SPDX-License-Identifier: GPL-3.0-or-later
 *
 * The operator of photographs against a dense matrix written out from cosines, at sizes that FFTs dislike;
 * its proximal step against the normal equations and at its limits; linear inference against the closed form.
 */
#include "check.h"
#include "fixtures.h"
#include "operators/dct.h"

#include <gnuradio/diffsem/core/infer/estimator.h>
#include <gnuradio/diffsem/core/operators/operator.h>
#include <gnuradio/diffsem/core/picture/picture_receiver.h>
#include <gnuradio/diffsem/core/scheme/load_scheme.h>

#include <Eigen/Dense>
#include <chrono>
#include <limits>
#include <vector>

using namespace fixtures;
using RealMatrix = Eigen::MatrixXd;
using RealVector = Eigen::VectorXd;

namespace {

constexpr float inf = std::numeric_limits<float>::infinity();

RealMatrix cosines(int n)
{
    RealMatrix m(n, n);
    for (int k = 0; k < n; k++)
        for (int i = 0; i < n; i++)
            m(k, i) =
                std::sqrt((k ? 2.0 : 1.0) / n) * std::cos(std::acos(-1.0) * (i + 0.5) * k / n);
    return m;
}

// T of a picture [3, h, w], row major.
RealMatrix dense(int h, int w)
{
    RealMatrix colours(3, 3);
    colours << 1 / std::sqrt(3.0), 1 / std::sqrt(3.0), 1 / std::sqrt(3.0), std::sqrt(0.5), 0,
        -std::sqrt(0.5), 1 / std::sqrt(6.0), -2 / std::sqrt(6.0), 1 / std::sqrt(6.0);
    const RealMatrix rows = cosines(h), columns = cosines(w);
    const int n = 3 * h * w;
    RealMatrix t(n, n);
    for (int a = 0; a < n; a++)
        for (int b = 0; b < n; b++)
            t(a, b) = colours(a / (h * w), b / (h * w)) * rows(a / w % h, b / w % h) *
                      columns(a % w, b % w);
    return t;
}

struct Real {
    Tensor tensor;
    Real(int h, int w) : tensor(Domain::real, {3, h, w}, 1) {}
    Eigen::Map<Eigen::VectorXf> v() { return {tensor.data(), Eigen::Index(tensor.elements())}; }
};

void against_dense(int h, int w, Random& r)
{
    const int n = 3 * h * w;
    RealMatrix a = dense(h, w);
    std::vector<float> gains(n);
    for (int k = 0; k < n; k++) {
        gains[k] = k % 3 == 1 ? 0.0f : float(0.2 + 2 * r.uniform());
        a.row(k) *= gains[k];
    }
    const auto op = make_transform_operator(h, w, gains);
    CHECK_EQUAL(std::string(op->type()), "transform");
    CHECK_EQUAL(op->rows(), std::size_t(n));
    Real x(h, w), y(h, w), out(h, w), back(h, w), z(h, w);
    for (int k = 0; k < n; k++) {
        x.v()(k) = float(r.normal());
        y.v()(k) = float(r.normal());
        z.v()(k) = float(r.normal());
    }
    op->apply(x.tensor, out.tensor);
    CHECK_BELOW((out.v().cast<double>() - a * x.v().cast<double>()).norm(), 1e-5 * n);
    op->adjoint(y.tensor, back.tensor);
    CHECK_BELOW((back.v().cast<double>() - a.transpose() * y.v().cast<double>()).norm(), 1e-5 * n);
    CHECK_NEAR(out.v().dot(y.v()), x.v().dot(back.v()), 1e-4 * n);

    // Normal equations; the levels of the state are of its coefficients.
    const RealMatrix t = dense(h, w);
    Sigma noise(1, n), level(1, n);
    RealVector precision(n), prior(n);
    for (int k = 0; k < n; k++) {
        noise.item(0)[k] = k % 5 == 2 ? inf : float(0.1 + r.uniform());
        level.item(0)[k] = float(0.3 + r.uniform());
        precision(k) = k % 5 == 2 ? 0.0 : std::pow(noise.item(0)[k], -2.0);
        prior(k) = std::pow(level.item(0)[k], -2.0);
    }
    y.v()(2) = std::nanf(""); // lost: may be anything
    RealVector seen = y.v().cast<double>();
    seen(2) = 0;
    const RealMatrix left =
        a.transpose() * precision.asDiagonal() * a + t.transpose() * prior.asDiagonal() * t;
    const RealVector right = a.transpose() * precision.asDiagonal() * seen +
                             t.transpose() * prior.asDiagonal() * t * z.v().cast<double>();
    std::vector<cdouble> scratch(op->scratch_size());
    op->proximal(y.tensor, noise, z.tensor, level, out.tensor, scratch.data());
    CHECK_BELOW((out.v().cast<double>() - left.ldlt().solve(right)).norm(), 2e-5 * n);

    // Without noise: what was measured is kept, and only the null space is z's.
    y.v()(2) = 0;
    op->proximal(y.tensor, Sigma(0.0f), z.tensor, Sigma(1.0f), out.tensor, scratch.data());
    const RealVector c = t * out.v().cast<double>(), cz = t * z.v().cast<double>();
    double kept = 0, null_space = 0;
    for (int k = 0; k < n; k++)
        gains[k] != 0 ? kept = std::max(kept, std::fabs(gains[k] * c(k) - y.v()(k)))
                      : null_space = std::max(null_space, std::fabs(c(k) - cz(k)));
    CHECK_BELOW(kept, 1e-4);
    CHECK_BELOW(null_space, 1e-4);
}

void linear_is_the_closed_form(Random& r)
{
    const int h = 9, w = 14, n = 3 * h * w;
    const auto estimator = make_picture_estimator(load_scheme("linear"));
    std::vector<float> y(n), gains(n), noise(n), spectrum(n), image(n), variance(n);
    RealVector mean(n);
    for (int k = 0; k < n; k++) {
        y[k] = float(0.02 * r.normal());
        gains[k] = k % 4 ? 1.5f : 0.0f;
        noise[k] = k % 7 ? 0.01f : inf;
        spectrum[k] = 0.001f * float(1 + k % 3);
        const bool seen = gains[k] > 0 && noise[k] < inf;
        mean(k) =
            seen ? spectrum[k] * gains[k] * y[k] / (spectrum[k] * gains[k] * gains[k] + noise[k])
                 : 0.0;
        variance[k] = seen ? spectrum[k] * noise[k] / (spectrum[k] * gains[k] * gains[k] + noise[k])
                           : spectrum[k];
    }
    std::vector<float> found(n);
    const PictureInfo info = estimate_picture(*estimator,
                                              h,
                                              w,
                                              y.data(),
                                              gains.data(),
                                              noise.data(),
                                              spectrum.data(),
                                              image.data(),
                                              found.data());
    CHECK_EQUAL(info.evaluations, 0);
    const RealVector expected =
        ((dense(h, w).transpose() * mean).array() + 0.5).cwiseMax(0.0).cwiseMin(1.0);
    double worst = 0, worst_variance = 0;
    for (int k = 0; k < n; k++) {
        worst = std::max(worst, std::fabs(expected(k) - image[k]));
        worst_variance = std::max(worst_variance, double(std::fabs(found[k] - variance[k])));
    }
    CHECK_BELOW(worst, 1e-5);
    CHECK_BELOW(worst_variance, 1e-7);

    noise[3] = -1;
    CHECK_THROWS(estimate_picture(*estimator,
                                  h,
                                  w,
                                  y.data(),
                                  gains.data(),
                                  noise.data(),
                                  spectrum.data(),
                                  image.data(),
                                  nullptr),
                 {"noise_var", "infinite"});
    CHECK_THROWS(estimate_picture(*estimator,
                                  0,
                                  w,
                                  y.data(),
                                  gains.data(),
                                  noise.data(),
                                  spectrum.data(),
                                  image.data(),
                                  nullptr),
                 {"0 x 14"});
    CHECK_THROWS(estimate_picture(*estimator,
                                  4096,
                                  4096,
                                  y.data(),
                                  gains.data(),
                                  noise.data(),
                                  spectrum.data(),
                                  image.data(),
                                  nullptr),
                 {"4096 x 4096", "pixels in all"});
}

// From the mean to a draw: a straight line, the energy of the spectrum, nothing where the measurement is exact.
void realism_restores_the_energy(Random& r)
{
    const int h = 48, w = 40, n = 3 * h * w;
    std::vector<float> y(n), gains(n, 1.0f), noise(n), spectrum(n), mean(n), half(n), draw(n),
        other(n), variance(n);
    for (int k = 0; k < n; k++) {
        noise[k] = k % 3 == 0 ? inf : k % 3 == 1 ? 0.0f : 2e-5f;
        spectrum[k] = 1e-4f * float(1 + k % 2);
        y[k] = float(std::sqrt(spectrum[k] + (k % 3 == 2 ? noise[k] : 0)) * r.normal());
    }
    const auto run = [&](const char* scheme, std::vector<float>& image) {
        const auto estimator = make_picture_estimator(load_scheme(scheme));
        estimate_picture(*estimator,
                         h,
                         w,
                         y.data(),
                         gains.data(),
                         noise.data(),
                         spectrum.data(),
                         image.data(),
                         variance.data());
    };
    run("linear:realism=0", mean);
    run("linear:realism=0.5", half);
    run("linear:realism=1", draw);
    run("linear:realism=1,seed=9", other);
    double straight = 0, apart = 0;
    for (int i = 0; i < n; i++) {
        straight = std::max(straight, double(std::fabs(half[i] - (mean[i] + draw[i]) / 2)));
        apart = std::max(apart, double(std::fabs(other[i] - draw[i])));
        mean[i] -= 0.5f;
        draw[i] -= 0.5f;
    }
    CHECK_BELOW(straight, 1e-6);
    CHECK(apart > 1e-3);
    const PhotoTransform transform(h, w);
    transform.forward(mean.data(), mean.data());
    transform.forward(draw.data(), draw.data());
    double lost = 0, filled = 0, exact = 0, colour = 0;
    for (int k = 0; k < n; k++) {
        const bool luma = k < n / 3;
        if (luma && k % 3 == 0) {
            lost += spectrum[k];
            filled += double(draw[k]) * draw[k];
        }
        if (noise[k] == 0)
            exact = std::max(exact, double(std::fabs(draw[k] - mean[k])));
        if (!luma && k % 3 == 0)
            colour += double(draw[k]) * draw[k];
    }
    CHECK_NEAR(filled / lost, 1.0, 0.1);
    CHECK_BELOW(exact, 1e-5);
    CHECK_BELOW(colour, 1e-6);
}

void round_trip_of_a_photograph(Random& r)
{
    const PhotoTransform transform(512, 768);
    std::vector<float> image(transform.elements()), c(image.size());
    for (auto& v : image)
        v = float(r.normal());
    const auto began = std::chrono::steady_clock::now();
    transform.forward(image.data(), c.data());
    const double seconds =
        std::chrono::duration<double>(std::chrono::steady_clock::now() - began).count();
    std::printf("512 x 768 forward: %.3f s\n", seconds);
    double energy = 0, image_energy = 0, worst = 0;
    for (std::size_t i = 0; i < c.size(); i++) {
        energy += double(c[i]) * c[i];
        image_energy += double(image[i]) * image[i];
    }
    transform.inverse(c.data(), c.data());
    for (std::size_t i = 0; i < c.size(); i++)
        worst = std::max(worst, double(std::fabs(c[i] - image[i])));
    CHECK_NEAR(energy / image_energy, 1.0, 1e-5);
    CHECK_BELOW(worst, 1e-4);
}

} // namespace

int main()
{
    Random r(7);
    for (const auto& [h, w] :
         std::vector<std::pair<int, int>>{{1, 1}, {1, 5}, {4, 1}, {2, 2}, {3, 7}, {8, 6}, {5, 13}})
        against_dense(h, w, r);
    round_trip_of_a_photograph(r);
    linear_is_the_closed_form(r);
    CHECK_THROWS(make_transform_operator(2, 2, {1, 2}), {"2 gains", "12 coefficients"});
    CHECK_THROWS(make_transform_operator(0, 2, {}), {"0 x 2"});
    CHECK_THROWS(make_transform_operator(1, 1, {1, inf, 1}), {"not finite"});
    EstimatorOptions sized;
    sized.item_size = 12;
    CHECK_THROWS(Estimator(load_scheme("linear"), sized), {"size and operator come with each"});
    CHECK_THROWS(make_picture_estimator(load_scheme("ls")), {"no scheme of photographs"});
    CHECK_THROWS(load_scheme("linear:steps=2"), {"takes no key but"});
    CHECK_THROWS(load_scheme("linear:realism=2"), {"realism", "0 .. 1"});
    realism_restores_the_energy(r);
    return check::result("transform");
}
