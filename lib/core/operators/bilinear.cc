/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <gnuradio/diffsem/core/operators/bilinear.h>

#include <gnuradio/diffsem/core/base/error.h>

#include "base/linalg.h"

#include <algorithm>
#include <cmath>
#include <complex>
#include <string>
#include <vector>

namespace gr {
namespace diffsem {
namespace core {

namespace {

using cdouble = std::complex<double>;

constexpr int most_antennas = 256;
constexpr int most_time = 65536;
constexpr std::size_t most_in_looks = std::size_t(1) << 24; // elements of all blocks of a look

/*
 * Y = H X. Given X, row r of Y is a look at row r of H; given H, column t of Y one at column t of X. Both updates are one
 * code, in which the block's own elements are x_k, and data[d] = sum_k a_(d,k) x_k + n_d.
 */
class MimoOperator : public BilinearOperator
{
public:
    MimoOperator(std::size_t receive, std::size_t transmit, std::size_t time, KnownElements pilots)
        : d_receive(receive),
          d_transmit(transmit),
          d_time(time),
          d_pilots(std::move(pilots))
    {
    }
    std::vector<std::string> unknowns() const override { return {"H", "X"}; }
    std::size_t rows() const override { return d_receive * d_time; }
    std::vector<std::int64_t> shape() const override
    {
        return {std::int64_t(d_receive), std::int64_t(d_time)};
    }
    std::vector<std::int64_t> shape(std::size_t unknown) const override
    {
        return {std::int64_t(unknown == 0 ? d_receive : d_transmit),
                std::int64_t(unknown == 0 ? d_transmit : d_time)};
    }
    const KnownElements& known(std::size_t unknown) const override
    {
        return unknown == 0 ? d_nothing : d_pilots;
    }

    // y_(r,t) = sum_k H_(r,k) X_(k,t), written as a matrix for whichever factor is unknown.
    std::shared_ptr<const Operator> given(const std::string& name,
                                          const Tensor& value) const override
    {
        if (name != "H" && name != "X")
            throw Error("the bilinear operator Y = H X has the unknowns H and X, not '" + name +
                        "'");
        const bool know_h = name == "H";
        const std::size_t size = d_transmit * (know_h ? d_receive : d_time);
        if (value.elements() != size || value.batch() < 1 || value.domain() != Domain::complex)
            throw Error("the value of " + name + " must have " + std::to_string(size) +
                        " complex elements, it has " + std::to_string(value.elements()));
        const std::size_t cols = d_transmit * (know_h ? d_time : d_receive);
        std::vector<cfloat> a(rows() * cols);
        for (std::size_t r = 0; r < d_receive; r++)
            for (std::size_t t = 0; t < d_time; t++)
                for (std::size_t k = 0; k < d_transmit; k++) {
                    const std::size_t col = know_h ? k * d_time + t : r * d_transmit + k;
                    a[(r * d_time + t) * cols + col] =
                        value.citem(0)[know_h ? r * d_transmit + k : k * d_time + t];
                }
        return make_matrix_operator(std::move(a), rows(), cols);
    }

    void apply(const cfloat* h, const cfloat* x, cfloat* y) const override
    {
        for (std::size_t r = 0; r < d_receive; r++)
            for (std::size_t t = 0; t < d_time; t++) {
                cdouble sum = 0;
                for (std::size_t k = 0; k < d_transmit; k++)
                    sum += cdouble(h[r * d_transmit + k]) * cdouble(x[k * d_time + t]);
                y[r * d_time + t] = cfloat(sum);
            }
    }

    Blocks looks(std::size_t unknown) const override
    {
        if (unknown == 0)
            return {nullptr, d_receive, d_transmit, d_transmit, d_transmit, 1};
        return {nullptr, d_time, d_transmit, d_transmit, 1, d_time};
    }

    void information(std::size_t unknown,
                     std::size_t block,
                     const Measurement& y,
                     const Belief& own,
                     const Belief& other,
                     Uncertainty treatment,
                     Eigen::Ref<Eigen::MatrixXcd> gram,
                     Eigen::Ref<Eigen::VectorXcd> b) const override
    {
        const bool of_h = unknown == 0;
        const KnownElements& fixed = known(unknown);
        const auto mine = [&](std::size_t k) {
            return of_h ? block * d_transmit + k : k * d_time + block;
        };
        gram.setZero();
        b.setZero();
        for (std::size_t data = 0; data < (of_h ? d_time : d_receive); data++) {
            const std::size_t at = of_h ? block * d_time + data : data * d_time + block;
            const double noise = y.noise(at);
            if (!std::isfinite(noise))
                continue;
            const auto theirs = [&](std::size_t k) {
                return of_h ? k * d_time + data : data * d_transmit + k;
            };
            double total = noise;
            cdouble rest(y.y[at]);
            for (std::size_t k = 0; k < d_transmit; k++) {
                const cdouble x(own.mean[mine(k)]);
                if (treatment == Uncertainty::noise)
                    total += double(other.variance[theirs(k)]) *
                             (std::norm(x) + double(own.variance[mine(k)]));
                if (fixed.at(mine(k)))
                    rest -= cdouble(other.mean[theirs(k)]) * x;
            }
            const double w = 1 / total;
            for (std::size_t j = 0; j < d_transmit; j++) {
                if (fixed.at(mine(j)))
                    continue;
                const cdouble left = w * std::conj(cdouble(other.mean[theirs(j)]));
                b(Eigen::Index(j)) += left * rest;
                for (std::size_t l = 0; l <= j; l++)
                    if (!fixed.at(mine(l)))
                        gram(Eigen::Index(j), Eigen::Index(l)) +=
                            left * cdouble(other.mean[theirs(l)]);
                if (treatment == Uncertainty::mean_field)
                    gram(Eigen::Index(j), Eigen::Index(j)) += w * double(other.variance[theirs(j)]);
            }
        }
    }

private:
    std::size_t d_receive, d_transmit, d_time;
    KnownElements d_nothing, d_pilots;
};

int count(const Fields& f, const char* key, int most)
{
    const int n = f.integer(key, 0);
    if (n < 1 || n > most)
        throw Error(f.where() + "." + key + " is " +
                    (f.has(key) ? std::to_string(n) : std::string("missing")) + ": give 1 to " +
                    std::to_string(most));
    return n;
}

std::shared_ptr<const BilinearOperator> read(const Fields& f)
{
    const int receive = count(f, "receive", most_antennas),
              transmit = count(f, "transmit", most_antennas), time = count(f, "time", most_time);
    std::vector<std::size_t> columns;
    std::vector<cfloat> values;
    if (f.has("pilot_columns") && !f.has("pilots"))
        f.fail("pilot_columns", "give 'pilots' too, the values sent in these columns");
    if (f.has("pilots")) {
        const NpyArray pilots = f.array("pilots", {transmit, -1});
        const std::int64_t n = pilots.shape[1];
        for (std::size_t i = 0; i < pilots.count(); i++)
            values.push_back(cfloat(pilots.value(i)));
        for (std::int64_t i = 0; i < n && !f.has("pilot_columns"); i++)
            columns.push_back(std::size_t(i));
        if (f.has("pilot_columns")) {
            const NpyArray given = f.array("pilot_columns", {n});
            for (std::size_t i = 0; i < given.count(); i++) {
                const double at = given.is_complex ? -1 : given.real(i);
                if (!(at >= 0) || at >= time || at != std::floor(at))
                    f.fail("pilot_columns",
                           "each must be the index of a column, 0 to " + std::to_string(time - 1));
                columns.push_back(std::size_t(at));
            }
        }
    }
    try {
        return make_mimo_operator(
            std::size_t(receive), std::size_t(transmit), std::size_t(time), columns, values);
    } catch (const Error& e) {
        throw Error(f.where() + ": " + e.what());
    }
}

const BilinearEntry& mimo_operator()
{
    static const BilinearEntry e{
        {"mimo",
         "Y = H X + N of a MIMO link: H [receive, transmit], X [transmit, time], known columns of "
         "X are pilots.",
         {{"receive", "antennas, 1 to 256"},
          {"transmit", "antennas, 1 to 256"},
          {"time", "columns of X and Y, 1 to 65536"},
          {"pilots", "file [transmit, P]: what is sent in the known columns (none)"},
          {"pilot_columns", "list of P column indices (the first P)"}}},
        read,
        R"({"receive": 3, "transmit": 2, "time": 5})"};
    return e;
}

// Pilots [transmit, n] of a lower rank than their size allows tell fewer directions of H apart than they cost columns.
void check_rank(std::size_t transmit, std::size_t n, const std::vector<cfloat>& pilots)
{
    constexpr double least = 1e-5; // of the largest singular value, in single precision
    Eigen::MatrixXcd p = Eigen::MatrixXcd::Zero(Eigen::Index(transmit), Eigen::Index(n));
    for (std::size_t k = 0; k < transmit; k++)
        for (std::size_t i = 0; i < n; i++)
            p(Eigen::Index(k), Eigen::Index(i)) = cdouble(pilots[k * n + i]);
    const Eigen::MatrixXcd gram =
        transmit <= n ? Eigen::MatrixXcd(p * p.adjoint()) : Eigen::MatrixXcd(p.adjoint() * p);
    Eigen::VectorXd squares;
    Eigen::MatrixXcd vectors;
    hermitian_eigen(gram, squares, vectors);
    const Eigen::Index whole = gram.rows();
    const Eigen::Index rank =
        squares(0) > 0 ? (squares.array() > least * least * squares(0)).count() : 0;
    if (rank < whole)
        throw Error("pilots: the " + std::to_string(transmit) + " x " + std::to_string(n) +
                    " known values have rank " + std::to_string(rank) + " of " +
                    std::to_string(whole) +
                    (rank ? ": give columns that are linearly independent, as of a DFT matrix"
                          : ": they are all zero; give what is sent"));
}

} // namespace

std::unique_ptr<BilinearOperator> make_mimo_operator(std::size_t receive,
                                                     std::size_t transmit,
                                                     std::size_t time,
                                                     const std::vector<std::size_t>& known_columns,
                                                     const std::vector<cfloat>& known_values)
{
    if ((receive + time) * transmit * transmit > most_in_looks || receive * time > most_in_looks)
        throw Error("a frame of " + std::to_string(receive) + " x " + std::to_string(transmit) +
                    " x " + std::to_string(time) + " is too large: give a smaller one");
    KnownElements pilots;
    const std::size_t n = known_columns.size();
    if (known_values.size() != n * transmit)
        throw Error("pilots: " + std::to_string(known_values.size()) + " known values for " +
                    std::to_string(n) + " columns of " + std::to_string(transmit) + " elements");
    if (n) {
        pilots.flags.resize(transmit * time);
        pilots.values.resize(transmit * time);
    }
    for (std::size_t i = 0; i < n; i++) {
        const std::size_t t = known_columns[i];
        if (t >= time)
            throw Error("column " + std::to_string(t) + " is known, but the frame has only " +
                        std::to_string(time));
        if (pilots.flags[t])
            throw Error("column " + std::to_string(t) + " stands twice among the known ones");
        for (std::size_t k = 0; k < transmit; k++) {
            const cfloat v = known_values[k * n + i];
            if (!std::isfinite(v.real()) || !std::isfinite(v.imag()))
                throw Error("a known value is not finite");
            pilots.flags[k * time + t] = 1;
            pilots.values[k * time + t] = v;
        }
    }
    if (n)
        check_rank(transmit, n, known_values);
    return std::make_unique<MimoOperator>(receive, transmit, time, std::move(pilots));
}

const std::vector<const BilinearEntry*>& bilinear_operators()
{
    static const std::vector<const BilinearEntry*> table = {&mimo_operator()};
    return table;
}

} // namespace core
} // namespace diffsem
} // namespace gr
