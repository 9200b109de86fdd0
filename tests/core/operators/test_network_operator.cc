/*
 * SPDX-License-Identifier: GPL-3.0-or-later
 *
 * The operator `network` against the equations of tests/data/make_network_operators.py, and what is refused. What every
 * operator has to do is in test_operator.cc.
 */
#include "check.h"
#include "fixtures.h"

#include <gnuradio/diffsem/core/base/npy.h>
#include <gnuradio/diffsem/core/operators/operator.h>

#include "runtime_allocations.h"

#include <cmath>
#include <thread>
#include <vector>

using namespace fixtures;

namespace {

struct Folder : Files {
    std::string path(const std::string& file, const std::string&) const override
    {
        return std::string(DIFFSEM_TEST_DATA_DIR) + "/operators/" + file;
    }
    const LoadOptions& load_options() const override { return options; }
    LoadOptions options;
};

std::shared_ptr<const Operator> load(const std::string& file,
                                     const std::string& vjp,
                                     const SignalShape& signal = {Domain::complex, {6}},
                                     const std::string& more = "",
                                     OperatorInput input = {},
                                     std::size_t max_model_bytes = 1 << 20)
{
    const auto& entry = find_entry(operators(), "operator", "network");
    const Json keys = Json::parse("{\"file\": \"" + file + "\"" +
                                  (vjp.empty() ? "" : ", \"vjp\": \"" + vjp + "\"") + more + "}");
    Folder files;
    files.options.max_model_bytes = max_model_bytes;
    input.size = element_count(signal.shape);
    return entry.read(Fields(keys, "op", key_names(entry), &files), signal)(input);
}

// W and b of the complex one, rows and columns in planes.
struct Truth {
    Eigen::MatrixXd w;
    Eigen::VectorXd b;
    Truth()
    {
        const NpyArray a =
            read_npy(std::string(DIFFSEM_TEST_DATA_DIR) + "/operators/weights.npy", 1 << 20);
        w.resize(8, 12);
        b.resize(8);
        for (Eigen::Index i = 0; i < 8; i++)
            for (Eigen::Index j = 0; j < 13; j++)
                (j < 12 ? w(i, j) : b(i)) = a.data[std::size_t(13 * i + j)];
    }
    static Eigen::VectorXd planes(const Vector& x)
    {
        Eigen::VectorXd p(2 * x.size());
        p << x.real(), x.imag();
        return p;
    }
    static Vector joined(const Eigen::VectorXd& p)
    {
        const Eigen::Index n = p.size() / 2;
        return p.head(n).cast<cdouble>() + cdouble(0, 1) * p.tail(n).cast<cdouble>();
    }
    Vector apply(const Vector& x) const
    {
        const Eigen::VectorXd z = w * planes(x) + b;
        return joined(z + 0.3 * z.array().tanh().matrix());
    }
    Vector vjp(const Vector& x, const Vector& v) const
    {
        const Eigen::VectorXd t = (w * planes(x) + b).array().tanh();
        return joined(w.transpose() *
                      (planes(v).array() * (1.3 - 0.3 * t.array().square())).matrix());
    }
};

void equations(const std::string& name)
{
    const auto op = load(name + ".onnx", name + "_vjp.onnx");
    const Truth truth;
    Random r(11);
    CHECK_EQUAL(op->rows(), 4u);
    CHECK_EQUAL(op->cols(), 6u);
    CHECK(!op->linear() && !op->has_proximal() && !op->keeps_elements_apart());
    // 200 items are more than one run of the graph, and no multiple of a fixed batch.
    std::vector<Vector> x, v;
    for (int i = 0; i < 200; i++) {
        x.push_back(r.cvector(6));
        v.push_back(r.cvector(4));
    }
    Tensor y(Domain::complex, {4}, 1), back(Domain::complex, {6}, 1);
    op->apply(to_tensor(x), y);
    op->vjp(to_tensor(x), to_tensor(v), back);
    CHECK_EQUAL(y.batch(), 200u);
    for (std::size_t i = 0; i < x.size(); i++) {
        CHECK_BELOW((to_vector(y.citem(i), 4) - truth.apply(x[i])).norm(), 1e-5);
        CHECK_BELOW((to_vector(back.citem(i), 6) - truth.vjp(x[i], v[i])).norm(), 1e-5);
    }
}

double miss(const Operator& op, const Tensor& y, const Tensor& x)
{
    Sigma noise(1, op.rows(), 1.0f);
    return op.residual(y, noise, x, 0, nullptr);
}

// The descent comes nearer with its steps, ends where J^H r = 0, and answers a lost runtime with something finite.
void classical_answer()
{
    const Truth truth;
    Random r(12);
    const Tensor y = to_tensor({truth.apply(r.cvector(6))});
    Tensor x(Domain::complex, {6}, 1);
    double before = 0;
    const Tensor zero = to_tensor({Vector(Vector::Zero(6))});
    for (const int steps : {1, 3, 30, 1000}) {
        const auto op = load("network.onnx",
                             "network_vjp.onnx",
                             {Domain::complex, {6}},
                             ", \"descent\": " + std::to_string(steps));
        op->classical(y, x);
        const double now = miss(*op, y, x);
        CHECK(now < (before > 0 ? before : miss(*op, y, zero)));
        before = now;
    }
    CHECK_BELOW(before, 1e-6); // 8 real equations, 12 unknowns: they can all be met
}

void residual_counts_what_is_measured()
{
    const auto op = load("network.onnx", "network_vjp.onnx");
    const Truth truth;
    Random r(13);
    const Vector x = r.cvector(6), clean = truth.apply(x);
    Vector y = clean + r.cvector(4);
    const double expected = (y - clean).tail(3).squaredNorm();
    y(0) = std::nan("");
    Sigma noise(1, 4, 0.1f);
    noise.item(0)[0] = Sigma::unobserved();
    CHECK_NEAR(op->residual(to_tensor({y}), noise, to_tensor({x}), 0, nullptr), expected, 1e-4);
}

// Immutable, and shared between threads: each borrows buffers.
void threads()
{
    const auto op = load("network.onnx", "network_vjp.onnx");
    const Truth truth;
    std::vector<double> worst(4, 0);
    std::vector<std::thread> all;
    for (std::size_t t = 0; t < worst.size(); t++)
        all.emplace_back([&, t] {
            Random r(100 + unsigned(t));
            Tensor y(Domain::complex, {4}, 1);
            for (int i = 0; i < 200; i++) {
                const Vector x = r.cvector(6);
                op->apply(to_tensor({x}), y);
                worst[t] = std::max(worst[t], (to_vector(y.citem(0), 4) - truth.apply(x)).norm());
            }
        });
    for (auto& one : all)
        one.join();
    for (const double error : worst)
        CHECK_BELOW(error, 1e-5);
}

void real_signals()
{
    const auto op = load("real.onnx", "real_vjp.onnx", {Domain::real, {1, 2, 3}});
    CHECK_EQUAL(op->rows(), 5u);
    CHECK_EQUAL(op->cols(), 6u);
    Tensor x(Domain::real, {1, 2, 3}, 1), v(Domain::real, {5}, 1), g = x;
    Tensor up(Domain::real, {5}, 1), down = up;
    Random r(14);
    double along = 0, change = 0;
    for (std::size_t i = 0; i < 6; i++)
        x.data()[i] = float(r.normal());
    for (std::size_t i = 0; i < 5; i++)
        v.data()[i] = float(r.normal());
    op->vjp(x, v, g);
    for (std::size_t i = 0; i < 6; i++) {
        const float at = x.data()[i];
        x.data()[i] = at + 1e-2f;
        op->apply(x, up);
        x.data()[i] = at - 1e-2f;
        op->apply(x, down);
        x.data()[i] = at;
        double d = 0;
        for (std::size_t j = 0; j < 5; j++)
            d += v.data()[j] * (up.data()[j] - down.data()[j]) / 2e-2;
        along += std::pow(d - g.data()[i], 2);
        change += d * d;
    }
    CHECK_BELOW(std::sqrt(along / change), 1e-3);
}

void refusals()
{
    const auto pair = [](const std::string& vjp) { return load("network.onnx", vjp); };
    CHECK_THROWS(pair("other_vjp.onnx"), {"op.vjp", "other_vjp.onnx", "is not the derivative of"});
    CHECK_THROWS(pair("doubled_vjp.onnx"), {"op.vjp", "is not the derivative of"});
    CHECK_THROWS(pair("fewer_vjp.onnx"), {"fewer_vjp.onnx", "'v: float32 [batch, 2, 3]'"});
    CHECK_THROWS(pair("wrong_role_vjp.onnx"), {"'denoiser_vjp'", "operator_vjp"});
    CHECK_THROWS(pair("network.onnx"), {"'operator'", "operator_vjp"});
    CHECK_THROWS(pair(""), {"'vjp' is missing", "export"});
    CHECK_THROWS(pair("nothing.onnx"), {"nothing.onnx"});
    CHECK_THROWS(load("no_planes.onnx", "network_vjp.onnx"), {"no_planes.onnx", "[batch, 2, ...]"});
    CHECK_THROWS(load("network.onnx", "real_vjp.onnx"), {"op.vjp", "real [1, 2, 3]"});
    CHECK_THROWS(load("network.onnx", "network_vjp.onnx", {Domain::complex, {5}}),
                 {"op.file", "complex [6]", "complex [5]"});
    CHECK_THROWS(load("network.onnx", "network_vjp.onnx", {Domain::real, {6}}),
                 {"complex [6]", "real [6]"});
    CHECK_THROWS(load("network.onnx", "network_vjp.onnx", {Domain::real, {3, -1, -1}}),
                 {"one size"});
    CHECK_THROWS(
        load("network.onnx", "network_vjp.onnx", {Domain::complex, {6}}, ", \"descent\": 0"),
        {"op.descent", "1 .. 1000"});
    OperatorInput measured, masked, matrix;
    measured.measured_gain = true;
    masked.observed = {1, 1, 1, 1, 1, 0};
    matrix.matrix.resize(6);
    const SignalShape signal{Domain::complex, {6}};
    CHECK_THROWS(load("network.onnx", "network_vjp.onnx", signal, "", measured), {"'unit'"});
    CHECK_THROWS(load("network.onnx", "network_vjp.onnx", signal, "", masked), {"observed"});
    CHECK_THROWS(load("network.onnx", "network_vjp.onnx", signal, "", matrix), {"'network'"});
    CHECK_THROWS(load("network.onnx", "network_vjp.onnx", signal, "", {}, 100), {"network.onnx"});
}

// What a stream asks for at every item allocates nothing of ours.
void allocates_nothing()
{
    const auto op = load("network.onnx", "network_vjp.onnx");
    Random r(15);
    const Tensor x = to_tensor({Vector(r.cvector(6))}), v = to_tensor({Vector(r.cvector(4))});
    Tensor y(Domain::complex, {4}, 1), g(Domain::complex, {6}, 1), a(Domain::complex, {6}, 1);
    Sigma noise(1, 4, 0.1f);
    const auto all = [&] {
        op->apply(x, y);
        op->vjp(x, v, g);
        op->classical(y, a);
        op->residual(y, noise, x, 0, nullptr);
    };
    all();
    const long before = allocations_of_ours();
    all();
    CHECK_EQUAL(allocations_of_ours() - before, 0);
}

} // namespace

int main()
{
    count_runtime_apart();
    for (const char* name : {"network", "interleaved", "fixed_batch"})
        equations(name);
    classical_answer();
    residual_counts_what_is_measured();
    threads();
    real_signals();
    refusals();
    allocates_nothing();
    return check::result("network_operator");
}
