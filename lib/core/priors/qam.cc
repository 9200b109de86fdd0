/*
 * SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Square QAM, every symbol as likely as any other. Given x = x0 + sigma n the two parts of each element are independent
 * (each a row of levels in real noise of variance sigma^2 / 2), so the posterior mean is a sum over sqrt(order) levels.
 * Behind a matrix the symbols of one block are dependent: then all of them together are enumerated.
 */
#include <gnuradio/diffsem/core/base/error.h>
#include <gnuradio/diffsem/core/priors/prior.h>

#include "base/linalg.h"

#include <Eigen/Core>
#include <algorithm>
#include <cmath>
#include <complex>
#include <limits>
#include <string>
#include <vector>

namespace gr {
namespace diffsem {
namespace core {

namespace {

using cdouble = std::complex<double>;

constexpr double most_candidates = 65536; // of one block
constexpr double least_noise = 1e-12;     // sigma^2 below it is treated as -120 dB
constexpr double negligible = 40;         // exponents so far below the best: a share of 4e-18
constexpr double least_pivot = 1e-13;     // of a direction that nothing is known of, of the largest

// Levels of one part, ascending: E|x|^2 = 1 over both.
std::vector<double> levels_of(int order)
{
    const int count = int(std::lround(std::sqrt(double(order))));
    const double half_step = std::sqrt(1.5 / (order - 1));
    std::vector<double> levels;
    for (int i = 0; i < count; i++)
        levels.push_back((2 * i - count + 1) * half_step);
    return levels;
}

std::vector<cdouble> points_of(int order)
{
    std::vector<cdouble> points;
    for (double re : levels_of(order))
        for (double im : levels_of(order))
            points.emplace_back(re, im);
    return points;
}

Traits traits_of(std::vector<std::int64_t> shape)
{
    Traits t;
    t.shape = std::move(shape);
    t.tensor_sigma = true;
    t.variance = true;
    t.sigma_min = 1e-6f;
    t.sigma_max = 1e6f;
    return t;
}

/*
 * p(x | x~, y) of the symbols of one block: proportional to exp(-(x^H G x - 2 Re b^H x)), with
 *   G = A^H diag(1 / noise^2) A + diag(1 / sigma^2),   b = A^H diag(1 / noise^2) y + x~ / sigma^2.
 * With G = R^H R and R^H c = b the exponent is -|c - R x|^2 but for a constant, and R is upper triangular, so the symbols
 * are tried as a tree from the last to the first (Fincke and Pohst 1985); a branch that is `negligible` is left out.
 */
class QamJoint : public JointDenoiser
{
public:
    QamJoint(int order, std::vector<std::int64_t> shape, const Operator& op)
        : d_points(points_of(order)),
          d_traits(traits_of(std::move(shape)))
    {
        take(op);
        const double leaves = std::pow(double(order), double(d_blocks.cols));
        d_traits.macs = 4.0 * double(d_blocks.count) * leaves * 1.5;
    }
    void replace(const Operator& op) override { take(op); }
    const Traits& traits() const override { return d_traits; }
    std::unique_ptr<Workspace> make_workspace(std::size_t) const override
    {
        const auto k = Eigen::Index(d_blocks.cols);
        auto s = std::make_unique<Space>();
        s->gram.resize(k, k);
        s->b.resize(k);
        s->mean.resize(std::size_t(k));
        s->power.resize(std::size_t(k));
        s->path.resize(std::size_t(k));
        s->metric.resize(std::size_t(k) + 1);
        s->rest.resize(std::size_t(k));
        s->next.resize(std::size_t(k));
        return s;
    }

    void
    denoise(const Tensor& x, const Sigma& sigma, Workspace& workspace, Estimate& out) const override
    {
        Space& space = static_cast<Space&>(workspace);
        out.set_batch(x.batch());
        out.has_variance = true;
        const std::size_t n = out.mean.elements();
        for (std::size_t item = 0; item < x.batch(); item++)
            for (std::size_t block = 0; block < d_blocks.count; block++) {
                gather(x, sigma, item, block, n, space);
                sum_over_symbols(space);
                for (std::size_t j = 0; j < d_blocks.cols; j++) {
                    const std::size_t i = block * d_blocks.block_step + j * d_blocks.element_step;
                    const cdouble m = space.mean[j] / space.weight;
                    out.mean.citem(item)[i] = cfloat(m);
                    out.variance[item * n + i] =
                        float(std::max(space.power[j] / space.weight - std::norm(m), 0.0));
                }
            }
    }

private:
    struct Space : public Workspace {
        Eigen::MatrixXcd gram; // then its factor, R^H below the diagonal
        Eigen::VectorXcd b;    // then c
        double weight = 0;     // of all symbols so far, relative to exp(-least)
        double least = 0;
        std::vector<cdouble> mean; // sums over them
        std::vector<double> power;
        std::vector<std::size_t> path; // the symbols tried, at each level of the tree
        std::vector<double> metric;    // of the levels from there to the last
        std::vector<cdouble> rest;     // c less what the later symbols explain
        std::vector<std::size_t> next; // symbol to be tried at a level
    };

    void take(const Operator& op)
    {
        d_blocks = op.blocks();
        const cfloat* from = d_blocks.values;
        d_values.assign(from, from + d_blocks.count * d_blocks.rows * d_blocks.cols);
    }

    void gather(const Tensor& x,
                const Sigma& sigma,
                std::size_t item,
                std::size_t block,
                std::size_t n,
                Space& s) const
    {
        const std::size_t rows = d_blocks.rows, cols = d_blocks.cols;
        const cfloat* a = d_values.data() + block * rows * cols;
        s.gram.setZero();
        s.b.setZero();
        for (std::size_t i = 0; i < rows; i++) {
            const double noise = sigma.at(item, n + block * rows + i);
            if (!std::isfinite(noise))
                continue;
            const double w = 1 / std::max(noise * noise, least_noise);
            const cdouble y(x.citem(item)[n + block * rows + i]);
            for (std::size_t j = 0; j < cols; j++) {
                const cdouble left = w * std::conj(cdouble(a[i * cols + j]));
                s.b(Eigen::Index(j)) += left * y;
                for (std::size_t l = 0; l <= j; l++)
                    s.gram(Eigen::Index(j), Eigen::Index(l)) += left * cdouble(a[i * cols + l]);
            }
        }
        for (std::size_t j = 0; j < cols; j++) {
            const std::size_t at = block * d_blocks.block_step + j * d_blocks.element_step;
            const double level = sigma.at(item, at);
            if (!std::isfinite(level))
                continue;
            const double w = 1 / std::max(level * level, least_noise);
            s.gram(Eigen::Index(j), Eigen::Index(j)) += w;
            s.b(Eigen::Index(j)) += w * cdouble(x.citem(item)[at]);
        }
        factor_semidefinite(s.gram, s.b, least_pivot);
    }

    void sum_over_symbols(Space& s) const
    {
        const std::size_t last = d_blocks.cols - 1;
        s.weight = 0;
        s.least = first_guess(s);
        std::fill(s.mean.begin(), s.mean.end(), cdouble(0));
        std::fill(s.power.begin(), s.power.end(), 0.0);
        std::size_t level = last;
        enter(level, s);
        for (;;) {
            if (s.next[level] == d_points.size()) { // all tried: back to the level before
                if (level == last)
                    return;
                level++;
                continue;
            }
            const std::size_t symbol = s.next[level]++;
            const double metric = s.metric[level + 1] + distance(level, symbol, s);
            if (metric > s.least + negligible)
                continue;
            s.path[level] = symbol;
            s.metric[level] = metric;
            if (level > 0)
                enter(--level, s);
            else
                add(metric, s);
        }
    }

    // What c leaves at a level once the later symbols are chosen; symbols of this level are tried from the first.
    void enter(std::size_t level, Space& s) const
    {
        cdouble rest = s.b(Eigen::Index(level));
        for (std::size_t l = level + 1; l < d_blocks.cols; l++)
            rest -= std::conj(s.gram(Eigen::Index(l), Eigen::Index(level))) * d_points[s.path[l]];
        s.rest[level] = rest;
        s.next[level] = 0;
        if (level + 1 == d_blocks.cols)
            s.metric[level + 1] = 0;
    }

    double distance(std::size_t level, std::size_t symbol, const Space& s) const
    {
        const auto i = Eigen::Index(level);
        return std::norm(s.rest[level] - s.gram(i, i).real() * d_points[symbol]);
    }

    // Metric of the symbols that are nearest one after the other: few branches are worth more.
    double first_guess(Space& s) const
    {
        double metric = 0;
        for (std::size_t level = d_blocks.cols; level-- > 0;) {
            enter(level, s);
            double best = std::numeric_limits<double>::infinity();
            for (std::size_t symbol = 0; symbol < d_points.size(); symbol++) {
                const double d = distance(level, symbol, s);
                if (d < best) {
                    best = d;
                    s.path[level] = symbol;
                }
            }
            metric += best;
        }
        return metric;
    }

    void add(double metric, Space& s) const
    {
        if (metric < s.least) { // all sums are relative to the best
            const double scale = std::exp(metric - s.least);
            s.weight *= scale;
            for (std::size_t j = 0; j < s.mean.size(); j++) {
                s.mean[j] *= scale;
                s.power[j] *= scale;
            }
            s.least = metric;
        }
        const double w = std::exp(s.least - metric);
        s.weight += w;
        for (std::size_t j = 0; j < s.mean.size(); j++) {
            const cdouble point = d_points[s.path[j]];
            s.mean[j] += w * point;
            s.power[j] += w * std::norm(point);
        }
    }

    std::vector<cdouble> d_points;
    Traits d_traits;
    Blocks d_blocks; // but for their values, which are ours
    std::vector<cfloat> d_values;
};

class QamPrior : public Prior
{
public:
    QamPrior(int order, std::vector<std::int64_t> shape)
        : d_order(order),
          d_levels(levels_of(order)),
          d_traits(traits_of(std::move(shape)))
    {
        d_traits.macs = 8.0 * double(element_count(d_traits.shape) * d_levels.size());
    }
    const char* type() const override { return "qam"; }
    const Traits& traits() const override { return d_traits; }
    std::unique_ptr<Workspace> make_workspace(std::size_t) const override
    {
        return std::make_unique<Workspace>();
    }
    void denoise(const Tensor& x, const Sigma& sigma, Workspace&, Estimate& out) const override
    {
        out.set_batch(x.batch());
        out.has_variance = true;
        const std::size_t n = x.elements();
        for (std::size_t b = 0; b < x.batch(); b++)
            for (std::size_t i = 0; i < n; i++) {
                float* mean = out.mean.item(b) + 2 * i;
                const double s = sigma.at(b, i);
                out.variance[b * n + i] = float(part(x.item(b)[2 * i], s, mean[0]) +
                                                part(x.item(b)[2 * i + 1], s, mean[1]));
            }
    }
    std::unique_ptr<JointDenoiser> joint(const Operator& op) const override
    {
        const Blocks blocks = op.blocks();
        if (!blocks.values || std::pow(double(d_order), double(blocks.cols)) > most_candidates)
            return nullptr;
        return std::make_unique<QamJoint>(d_order, d_traits.shape, op);
    }

private:
    // Mean and variance of one part u = a + sigma n / sqrt(2): weights exp(-(u - a)^2 / sigma^2) over the levels a.
    double part(double u, double sigma, float& mean) const
    {
        const bool seen = std::isfinite(sigma);
        const double precision = seen ? 1 / std::max(sigma * sigma, least_noise) : 0;
        double nearest = std::numeric_limits<double>::infinity();
        for (double a : d_levels)
            nearest = seen ? std::min(nearest, (u - a) * (u - a)) : 0;
        const auto weight = [&](double a) {
            return seen ? std::exp(-((u - a) * (u - a) - nearest) * precision) : 1.0;
        };
        double sum = 0, first = 0, second = 0;
        for (double a : d_levels) {
            const double w = weight(a);
            sum += w;
            first += w * a;
        }
        const double m = first / sum;
        for (double a : d_levels) // about the mean: no difference of large numbers
            second += weight(a) * (a - m) * (a - m);
        mean = float(m);
        return second / sum;
    }

    int d_order;
    std::vector<double> d_levels;
    Traits d_traits;
};

std::shared_ptr<const Prior> read(const Fields& f, const SignalShape& signal, const LoadOptions&)
{
    if (signal.domain != Domain::complex)
        throw Error(f.where() + ": the prior 'qam' is of complex symbols: give a complex signal");
    const int order = f.integer("order", 4);
    if (order != 4 && order != 16 && order != 64 && order != 256 && order != 1024)
        f.fail("order", "give 4, 16, 64, 256 or 1024");
    return std::make_shared<QamPrior>(order, signal.shape);
}

} // namespace

const PriorEntry& qam_prior()
{
    static const PriorEntry e{{"qam",
                               "Square QAM of unit power, all symbols equally likely; conditional "
                               "mean in closed form, and behind a matrix "
                               "that mixes few symbols too.",
                               {{"order", "4 (4), 16, 64, 256 or 1024 points"}}},
                              read};
    return e;
}

} // namespace core
} // namespace diffsem
} // namespace gr
