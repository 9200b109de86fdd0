/*
 * SPDX-License-Identifier: GPL-3.0-or-later
 *
 * What the guidances say of draws, against exact posteriors.
 */
#include "check.h"
#include "guidance_toy.h"

#include <algorithm>
#include <cmath>

using namespace fixtures;

namespace {

// Spread of draws over the exact variance, at 20 levels.
double
spread(const Fixture& f, const Case& c, std::shared_ptr<const Prior> prior, const GuidanceEntry& g)
{
    constexpr int draws = 16;
    const Case whole = spread_out(f, c);
    std::vector<std::vector<Vector>> all;
    for (int k = 0; k < draws; k++)
        all.push_back(
            run(whole, prior, f.op, &g, "posterior_draw", 20, std::uint64_t(k) * c.y.size()));
    double found = 0, exact = 0;
    for (std::size_t b = 0; b < c.y.size(); b++) {
        Vector mean = Vector::Zero(f.a.cols());
        for (const auto& x : all)
            mean += x[b] / double(draws);
        for (const auto& x : all)
            found += (x[b] - mean).squaredNorm() / (draws - 1);
        const auto noise = Eigen::VectorXd::Constant(f.a.rows(), c.noise * c.noise);
        exact += posterior(f.model, f.a, c.y[b], noise).covariance.trace().real();
    }
    return found / exact;
}

/*
 * What an entry says of draws: as wide as the posterior for Gaussians and for mixtures, or not offered. The approximate ones
 * are so for Gaussians alone (docs/openings/draws.md).
 */
void draws()
{
    std::map<const GuidanceEntry*, double> farthest; // of those that took the learned prior
    for (const Mixture& m : {gaussian(8, 3), mixture(8)})
        for (const Fixture& f : fixtures_of(m, 3)) {
            const auto closed = make_mixture_prior(f.model.parameters());
            const auto learned = std::make_shared<Learned>(closed);
            const Case c = measure(f.model, f.a, 0.2, 150, 4);
            for (const GuidanceEntry* g : guidances())
                for (const std::shared_ptr<const Prior>& prior :
                     std::vector<std::shared_ptr<const Prior>>{closed, learned}) {
                    if (!g->misfit(*prior, *f.op).empty())
                        continue;
                    const double wide = spread(f, c, prior, *g);
                    const bool one = m.weights.size() == 1;
                    std::printf(
                        "draws, %s, %s, %s, prior '%s': %.2f of the posterior's variance%s\n",
                        one ? "gaussian" : "mixture",
                        f.name,
                        g->name,
                        prior->type(),
                        wide,
                        g->draws ? "" : " (not offered)");
                    CHECK(g->draws == g->exact);
                    if (g->draws || (one && g->exact_for_gaussians))
                        CHECK(wide > 0.85 && wide < 1.15);
                    if (prior == learned) {
                        auto& worst = farthest[g];
                        worst = std::max(worst, std::fabs(std::log(wide)));
                    }
                    const PosteriorDenoiser posterior(prior, f.op, 1.0f, g);
                    CHECK_EQUAL(posterior.traits().approximate, !g->exact);
                }
        }
    for (const auto& [g, worst] : farthest) // what is refused deserves it
        if (!g->draws)
            CHECK_BELOW(std::log(1.15), worst);
}

} // namespace

int main()
{
    draws();
    return check::result("guidance draws");
}
