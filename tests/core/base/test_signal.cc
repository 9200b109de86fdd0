/*
 * SPDX-License-Identifier: GPL-3.0-or-later
 *
 * The signal convention against closed forms: counting one power per component and the other per
 * complex element (3 dB) must fail here.
 */
#include "check.h"
#include "fixtures.h"

#include <gnuradio/diffsem/core/base/philox.h>
#include <gnuradio/diffsem/core/base/signal.h>

#include <vector>

using namespace fixtures;

namespace {

void conversions()
{
    CHECK_NEAR(sigma_from_db(0), 1.0, 1e-15);
    CHECK_NEAR(sigma_from_db(10), std::sqrt(0.1), 1e-15);
    for (double snr = -20; snr <= 40; snr += 2.5) {
        const double rho = rho_from_db(snr), sigma = sigma_from_rho(rho);
        CHECK_NEAR(db_from_rho(rho), snr, 1e-12);
        CHECK_NEAR(sigma_from_db(snr), sigma, 1e-12 * sigma);
        CHECK_NEAR(rho_from_sigma(sigma), rho, 1e-12 * rho);
        // The matched step of a VP net: alpha_bar / (1 - alpha_bar) = rho, input times sqrt(rho / (1 + rho)).
        const double ab = alpha_bar_from_sigma(sigma);
        CHECK_NEAR(ab / (1 - ab), rho, 1e-10 * rho);
        CHECK_NEAR(vp_scale(sigma), std::sqrt(rho / (1 + rho)), 1e-14);
        CHECK_NEAR(sigma_from_alpha_bar(ab), sigma, 1e-8 * sigma);
        const double t = flow_time_from_sigma(sigma);
        CHECK_NEAR(sigma_from_flow_time(t), sigma, 1e-12 * sigma);
        CHECK_NEAR(flow_scale(sigma), 1 - t, 1e-14);
    }
    CHECK_NEAR(component_scale * component_scale, 2.0, 1e-15);
}

// White Gaussian signal at a stated SNR: the Wiener answer has NMSE 1 / (1 + rho). Using rho or 2 rho
// for the level changes the NMSE by less than 0.5 dB, so the gain of D is compared as well.
void wiener(double snr)
{
    constexpr std::size_t n = 64, items = 400;
    MixtureParameters p;
    p.shape = {n};
    p.variances.assign(n, 1.0);
    const auto prior = make_mixture_prior(p);
    const Rng signal(1), noise(2);
    Tensor x(Domain::complex, {n}, items), y(Domain::complex, {n}, items);
    const double sigma = sigma_from_db(snr);
    double signal_power = 0, noise_power = 0;
    std::vector<cfloat> e(n);
    for (std::size_t b = 0; b < items; b++) {
        signal.fill(b, 0, Domain::complex, n, x.item(b));
        noise.fill(b, 0, Domain::complex, n, reinterpret_cast<float*>(e.data()));
        for (std::size_t i = 0; i < n; i++) {
            y.citem(b)[i] = x.citem(b)[i] + float(sigma) * e[i];
            signal_power += std::norm(x.citem(b)[i]);
            noise_power += std::norm(float(sigma) * e[i]);
        }
    }
    CHECK_NEAR(signal_power / (n * items), 1.0, 0.03);
    CHECK_NEAR(db(signal_power / noise_power), snr, 0.1);

    Estimate out(Domain::complex, p.shape, items);
    auto workspace = prior->make_workspace(items);
    prior->denoise(y, Sigma(items, 1, float(sigma)), *workspace, out);
    double error = 0, predicted = 0;
    const double gain = 1 / (1 + sigma * sigma);
    for (std::size_t b = 0; b < items; b++)
        for (std::size_t i = 0; i < n; i++) {
            error += std::norm(out.mean.citem(b)[i] - x.citem(b)[i]);
            predicted += out.variance[b * n + i];
        }
    CHECK_NEAR(db(error / signal_power), db(1 / (1 + rho_from_db(snr))), 0.12);
    CHECK_NEAR(db(predicted / error), 0.0, 0.12);
    CHECK_NEAR(std::abs(out.mean.citem(0)[0] / y.citem(0)[0]), gain, 1e-5);
}

} // namespace

int main()
{
    conversions();
    for (double snr : {-10.0, 0.0, 10.0, 20.0})
        wiener(snr);
    return check::result("signal");
}
