/*
 * SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Several unknowns: the state is a set of named tensors, each with its prior and levels, and a
 * bilinear operator turns given values of one into an operator of the other.
 */
#include "check.h"
#include "fixtures.h"

#include <gnuradio/diffsem/core/infer/condition.h>
#include <gnuradio/diffsem/core/operators/bilinear.h>

using namespace fixtures;

namespace {

// Posterior mean of one unknown, all else given.
void update(State& state,
            const std::string& name,
            std::shared_ptr<const Operator> op,
            const Tensor& y,
            const Sigma& noise)
{
    Unknown& u = *state.find(name);
    const auto denoiser = condition(u.prior, op, y, noise);
    auto workspace = denoiser->make_workspace(1);
    Estimate out(Domain::complex, u.x.shape(), 1);
    denoiser->denoise(u.x, u.sigma, *workspace, out);
    u.x = out.mean;
}

double nmse(const Tensor& x, const Vector& truth)
{
    return db((to_vector(x.citem(0), truth.size()) - truth).squaredNorm() / truth.squaredNorm());
}

// Y = H X + N: 2 pilot symbols and 10 of data; H has correlated receive antennas. Alternating between
// H given X and X given H must beat the pilots alone.
void joint_channel_and_data()
{
    const Eigen::Index receive = 8, transmit = 2, time = 12, pilots = 2;
    const double noise_var = 0.05;
    Random r(3);
    Mixture h_model{{1.0},
                    {Vector::Zero(receive * transmit)},
                    {Matrix::Zero(receive * transmit, receive * transmit)}};
    const Matrix antennas = delay_covariance(receive, 1.0);
    for (Eigen::Index i = 0; i < receive; i++)
        for (Eigen::Index j = 0; j < receive; j++)
            for (Eigen::Index k = 0; k < transmit; k++)
                h_model.covariances[0](i * transmit + k, j * transmit + k) =
                    antennas(i, j) + (i == j ? 0.01 : 0.0);
    MixtureParameters x_model;
    x_model.shape = {transmit * time};
    double before = 0, after = 0;
    for (int trial = 0; trial < 6; trial++) {
        const Vector h = h_model.draw(r);
        Matrix x = r.cmatrix(transmit, time), hm(receive, transmit);
        x.leftCols(pilots) << 1, 1, 1, -1;
        for (Eigen::Index i = 0; i < receive; i++)
            hm.row(i) = h.segment(i * transmit, transmit).transpose();
        const Matrix y = hm * x + std::sqrt(noise_var) * r.cmatrix(receive, time);
        Vector flat_y(receive * time), flat_x(transmit * time);
        x_model.means.clear();
        x_model.variances.clear();
        for (Eigen::Index i = 0; i < receive; i++)
            flat_y.segment(i * time, time) = y.row(i).transpose();
        for (Eigen::Index k = 0; k < transmit; k++)
            for (Eigen::Index t = 0; t < time; t++) {
                flat_x(k * time + t) = x(k, t);
                x_model.means.push_back(t < pilots ? x(k, t) : cdouble(0));
                x_model.variances.push_back(t < pilots ? 1e-8 : 1.0);
            }
        State state;
        const Sigma nothing(1, 1, Sigma::unobserved());
        state.add("H",
                  make_mixture_prior(h_model.parameters()),
                  to_tensor({Vector::Zero(receive * transmit)}),
                  nothing);
        state.add(
            "X", make_mixture_prior(x_model), to_tensor({Vector::Zero(transmit * time)}), nothing);
        const auto pilot_op =
            make_mimo_operator(std::size_t(receive), std::size_t(transmit), std::size_t(pilots));
        Vector pilot_y(receive * pilots), pilot_x(transmit * pilots);
        for (Eigen::Index i = 0; i < receive; i++)
            pilot_y.segment(i * pilots, pilots) = y.row(i).head(pilots).transpose();
        for (Eigen::Index k = 0; k < transmit; k++)
            pilot_x.segment(k * pilots, pilots) = x.row(k).head(pilots).transpose();
        const Sigma noise(1, 1, float(std::sqrt(noise_var)));
        update(state, "H", pilot_op->given("X", to_tensor({pilot_x})), to_tensor({pilot_y}), noise);
        before += nmse(state.find("H")->x, h) / 6;
        const auto op =
            make_mimo_operator(std::size_t(receive), std::size_t(transmit), std::size_t(time));
        for (int round = 0; round < 5; round++) {
            update(state, "X", op->given("H", state.find("H")->x), to_tensor({flat_y}), noise);
            update(state, "H", op->given("X", state.find("X")->x), to_tensor({flat_y}), noise);
        }
        after += nmse(state.find("H")->x, h) / 6;
    }
    std::printf("NMSE of H: pilots alone %.1f dB, with the data %.1f dB\n", before, after);
    CHECK_BELOW(after, before - 1.0);
}

void names()
{
    State state;
    state.add("taps", nullptr, Tensor(Domain::complex, {4}, 1), Sigma(1.0f));
    state.add("image", nullptr, Tensor(Domain::real, {3, 8, 8}, 2), Sigma(2, 192, 0.5f));
    CHECK(state.find("taps") && state.find("image") && !state.find("other"));
    CHECK_EQUAL(state.find("image")->x.width(), 192u);
    CHECK_EQUAL(state.find("taps")->x.width(), 8u);
    CHECK_EQUAL(state.unknowns().size(), 2u);
    CHECK_EQUAL(state.find("image")->sigma.at(1, 100), 0.5f);
    CHECK_EQUAL(state.find("taps")->sigma.at(0, 3), 1.0f); // one level broadcasts
}

} // namespace

int main()
{
    names();
    joint_channel_and_data();
    return check::result("state");
}
