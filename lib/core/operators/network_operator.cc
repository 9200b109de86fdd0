/*
 * SPDX-License-Identifier: GPL-3.0-or-later
 *
 * A network as the measurement, with its derivative as a second graph (docs/openings/network_operators.md).
 */
#include <gnuradio/diffsem/core/base/error.h>

#include "base/derivative.h"
#include "base/pool.h"
#include "onnx/signal_graph.h"
#include "operators/operator_table.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <stdexcept>
#include <vector>

namespace gr {
namespace diffsem {
namespace core {

namespace {

constexpr int most_descent = 1000;
constexpr int halvings = 4; // of a step of the descent that went too far
constexpr double nudge =
    1e-2; // of the differences that measure the descent's slope, relative to unit power

struct Graphs {
    std::shared_ptr<const SignalGraph> forward, vjp;
};

double energy(const float* v, std::size_t count)
{
    double sum = 0;
    for (std::size_t i = 0; i < count; i++)
        sum += double(v[i]) * v[i];
    return sum;
}

/*
 * y = f(x) + n. There is no closed form for a posterior step: guidance goes through vjp().
 */
class Network : public Operator
{
public:
    Network(Graphs graphs, int descent)
        : d_graphs(std::move(graphs)),
          d_x(d_graphs.forward->inputs().front()),
          d_y(d_graphs.forward->output()),
          d_descent(descent),
          d_spaces([this] { return std::make_unique<Space>(d_x.width(), d_y.width()); })
    {
        d_spaces.reserve(1);
        for (const auto& graph :
             {d_graphs.forward, d_graphs.vjp}) // a caller for each operator that holds it
            graph->reserve(std::size_t(graph.use_count()));
    }
    const char* type() const override { return "network"; }
    std::size_t rows() const override { return d_y.elements(); }
    std::size_t cols() const override { return d_x.elements(); }
    bool linear() const override { return false; }
    bool has_vjp() const override { return true; }
    bool has_proximal() const override { return false; }

    void apply(const Tensor& x, Tensor& y) const override
    {
        y.set_batch(x.batch());
        d_graphs.forward->run(x.data(), x.batch(), y.data());
    }
    void adjoint(const Tensor& y, Tensor& x) const override { classical(y, x); }
    void vjp(const Tensor& x, const Tensor& v, Tensor& out) const override
    {
        out.set_batch(x.batch());
        d_graphs.vjp->run(x.data(), v.data(), x.batch(), out.data());
    }

    //! Gradient descent on |y - f(x)|^2 from 0; where the runtime fails, as far as it came.
    void classical(const Tensor& y, Tensor& x) const override
    {
        x.set_batch(y.batch());
        auto space = d_spaces.take();
        for (std::size_t b = 0; b < y.batch(); b++) {
            std::fill(x.item(b), x.item(b) + d_x.width(), 0.0f);
            try {
                descend(y.item(b), x.item(b), *space);
            } catch (
                const std::
                    exception&) { // this answer is for where inference failed: it has to be one
            }
        }
    }

    double residual(const Tensor& y,
                    const Sigma& noise,
                    const Tensor& x,
                    std::size_t item,
                    std::complex<double>*) const override
    {
        auto space = d_spaces.take();
        try {
            d_graphs.forward->run(x.item(item), 1, space->y.data());
        } catch (const std::exception&) {
            return std::numeric_limits<double>::quiet_NaN();
        }
        const std::size_t parts = d_y.width() / d_y.elements();
        double sum = 0;
        for (std::size_t j = 0; j < d_y.width(); j++)
            if (noise.at(item, j / parts) < Sigma::unobserved())
                sum += std::pow(double(y.item(item)[j]) - space->y[j], 2);
        return sum;
    }

    void proximal(const Tensor&,
                  const Sigma&,
                  const Tensor&,
                  const Sigma&,
                  Tensor&,
                  std::complex<double>*) const override
    {
        throw std::logic_error("network has no proximal step in closed form");
    }

private:
    struct Space {
        Space(std::size_t of_x, std::size_t of_y)
            : gradient(of_x),
              moved(of_x),
              y(of_y),
              residual(of_y),
              pushed(of_y)
        {
        }
        std::vector<float> gradient, moved, y, residual, pushed;
    };

    // The residual of `moved` into `to`, and its energy.
    double miss(const float* y, Space& s, std::vector<float>& to) const
    {
        d_graphs.forward->run(s.moved.data(), 1, s.y.data());
        for (std::size_t j = 0; j < to.size(); j++)
            to[j] = y[j] - s.y[j];
        return energy(to.data(), to.size());
    }

    /*
     * Steepest descent: along g = J^H r as far as the line f(x) + t J g comes nearest to y, t = <r, J g> / |J g|^2, J g by a
     * difference of f (Nocedal and Wright 2006, eq. 3.26 for the linearised problem); half as far where that overshoots.
     */
    void descend(const float* y, float* x, Space& s) const
    {
        const std::size_t n = d_x.width();
        std::copy(x, x + n, s.moved.begin());
        double best = miss(y, s, s.residual);
        for (int step = 0; step < d_descent && best > 0; step++) {
            d_graphs.vjp->run(x, s.residual.data(), 1, s.gradient.data());
            const double slope = std::sqrt(energy(s.gradient.data(), n));
            if (!(slope > 0) || !std::isfinite(slope))
                return;
            const double small = nudge * std::sqrt(double(n)) / slope;
            for (std::size_t i = 0; i < n; i++)
                s.moved[i] = float(x[i] + small * s.gradient[i]);
            miss(y, s, s.pushed);
            double along = 0, length = 0;
            for (std::size_t j = 0; j < s.pushed.size(); j++) {
                const double p = (double(s.residual[j]) - s.pushed[j]) / small;
                along += p * s.residual[j];
                length += p * p;
            }
            double reach = length > 0 ? along / length : 0;
            bool nearer = false;
            for (int half = 0; half <= halvings && !nearer; half++, reach *= 0.5) {
                for (std::size_t i = 0; i < n; i++)
                    s.moved[i] = float(x[i] + reach * s.gradient[i]);
                const double now = miss(y, s, s.pushed);
                nearer = now < best;
                if (nearer)
                    best = now;
            }
            if (!nearer)
                return;
            std::copy(s.moved.begin(), s.moved.end(), x);
            s.residual.swap(s.pushed);
        }
    }

    Graphs d_graphs;
    SignalPort d_x, d_y;
    int d_descent;
    mutable Pool<Space> d_spaces;
};

std::string text(Domain domain, const std::vector<std::int64_t>& shape)
{
    std::string t = domain == Domain::complex ? "complex [" : "real [";
    for (std::size_t i = 0; i < shape.size(); i++)
        t += (i ? ", " : "") + std::to_string(shape[i]);
    return t + "]";
}

Graphs load(const Fields& fields, const SignalShape& signal)
{
    const LoadOptions& options = fields.load_options();
    if (!fields.has("vjp"))
        throw Error(fields.where() +
                    ": the key 'vjp' is missing: name the graph of J(x)^H v that `gr-diffsem "
                    "export` writes beside the network");
    const OnnxFile file = read_onnx_file(fields.file("file"), options.max_model_bytes);
    const OnnxFile of_vjp = read_onnx_file(fields.file("vjp"), options.max_model_bytes);
    const SignalPort x = read_signal_port(file, "operator"),
                     vx = read_signal_port(of_vjp, "operator_vjp");
    if (x.domain != signal.domain || element_count(x.shape) != element_count(signal.shape))
        throw Error(fields.where() + ".file: " + file.path + " measures signals that are " +
                    text(x.domain, x.shape) + ", 'signal' says " +
                    text(signal.domain, signal.shape) + ": correct shape and domain");
    if (vx.domain != x.domain || vx.shape != x.shape)
        throw Error(fields.where() + ".vjp: " + of_vjp.path +
                    " is the derivative by signals that "
                    "are " +
                    text(vx.domain, vx.shape) + ", and " + file.path + " takes " +
                    text(x.domain, x.shape) + ": name the two that were exported together");
    Graphs g;
    SignalPort y = x;
    g.forward =
        std::make_shared<SignalGraph>(file, std::vector<SignalPort>{x}, y, OrtOptions(options));
    y = g.forward->output();
    SignalPort v = y;
    v.layout = vx.layout;
    g.vjp = std::make_shared<SignalGraph>(
        of_vjp, std::vector<SignalPort>{vx, v}, vx, OrtOptions(options));
    if (g.vjp->output().shape != x.shape)
        throw Error(fields.where() + ".vjp: " + of_vjp.path + " answers " +
                    text(x.domain, g.vjp->output().shape) + ", the derivative by x is " +
                    text(x.domain, x.shape) + ": export the two again");
    const double error = derivative_error(
        {x.domain,
         x.elements(),
         y.elements(),
         [&](const float* at, float* out) { g.forward->run(at, 1, out); },
         [&](const float* at, const float* v_, float* out) { g.vjp->run(at, v_, 1, out); }});
    if (!(error <= most_derivative_error)) // NaN is no agreement
        throw Error(fields.where() + ".vjp: " + of_vjp.path + " is not the derivative of " +
                    file.path + " (differences of it are " +
                    (std::isfinite(error) ? std::to_string(error) : std::string("not finite")) +
                    " apart, at most " + std::to_string(most_derivative_error) +
                    "): name the two that were exported together");
    return g;
}

OperatorMaker read(const Fields& fields, const SignalShape& signal)
{
    const int descent = fields.integer("descent", 3);
    if (descent < 1 || descent > most_descent)
        fields.fail("descent", "must lie in 1 .. " + std::to_string(most_descent));
    if (std::find(signal.shape.begin(), signal.shape.end(), -1) != signal.shape.end())
        throw Error(fields.where() +
                    ": the operator 'network' needs a signal of one size, not photographs");
    const Graphs graphs = load(fields, signal);
    return [graphs, descent](const OperatorInput& input) -> std::shared_ptr<const Operator> {
        refuse_observed(input);
        refuse_matrix(input, "network");
        if (input.measured_gain)
            throw Error("the operator 'network' is made for signals of one scale: the signal's "
                        "gain must be 'unit'");
        return std::make_shared<Network>(graphs, descent);
    };
}

OperatorEntry entry()
{
    OperatorEntry e{
        {"network",
         "y = f(x) + n, f an exported graph with its derivative as a second one "
         "(docs/openings/network_operators.md). No posterior step in closed form: guidance goes "
         "through the derivative.",
         {{"file", "f, an .onnx of the role `operator`"},
          {"vjp", "J(x)^H v, an .onnx of the role `operator_vjp`; compared with f when loaded"},
          {"descent", "steps of gradient descent from 0 in the classical answer, 1 .. 1000 (3)"}}},
        read};
    e.example = R"({"file": "network.onnx", "vjp": "network_vjp.onnx"})";
    return e;
}

} // namespace

const OperatorEntry& network_operator()
{
    static const OperatorEntry e = entry();
    return e;
}

} // namespace core
} // namespace diffsem
} // namespace gr
