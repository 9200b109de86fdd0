/*
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#include <gnuradio/diffsem/core/link/delay_basis.h>

#include <Eigen/Dense>

#include <algorithm>
#include <cmath>

namespace gr {
namespace diffsem {
namespace core {

namespace {

constexpr std::size_t widest = 64; // carriers of a band
constexpr double least_share = 1e-5;
constexpr double pi = 3.14159265358979323846;

double sinc(double x)
{
    return x == 0 ? 1 : std::sin(x) / x;
}

} // namespace

struct DelayBasis::Band {
    std::size_t carrier, coefficient; // where it begins
    Eigen::MatrixXcf basis, adjoint;
};

DelayBasis::DelayBasis(const std::vector<int>& carriers, int fft_len, double first, double last)
    : d_carriers(carriers.size())
{
    const std::size_t n = carriers.size(), bands = (n + widest - 1) / widest;
    for (std::size_t i = 0; i < bands; i++) {
        const std::size_t begin = i * n / bands, size = (i + 1) * n / bands - begin;
        // exp(-j pi (k - l) (first + last) / N) sinc(pi (k - l) (last - first) / N): a real matrix between two turns.
        Eigen::MatrixXd covariance(size, size);
        Eigen::VectorXcd turn(size);
        for (std::size_t k = 0; k < size; k++) {
            const int carrier = carriers[begin + k];
            turn[k] = std::polar(1.0, -pi * carrier / fft_len * (first + last));
            for (std::size_t l = 0; l < size; l++)
                covariance(k, l) =
                    sinc(pi * (carrier - carriers[begin + l]) / fft_len * (last - first));
        }
        const Eigen::SelfAdjointEigenSolver<Eigen::MatrixXd> solver(covariance);
        const auto& share = solver.eigenvalues(); // ascending
        const double least = least_share * share[size - 1];
        std::size_t left = 0;
        while (share[left] <= least)
            left++;
        auto band = std::make_unique<Band>();
        band->carrier = begin;
        band->coefficient = d_size;
        band->basis =
            (turn.asDiagonal() * solver.eigenvectors().rightCols(size - left)).cast<cfloat>();
        band->adjoint = band->basis.adjoint();
        d_size += size - left;
        d_shares.conservativeResize(d_size);
        d_shares.tail(size - left) = share.tail(size - left).cast<float>();
        d_bands.push_back(std::move(band));
    }
}

DelayBasis::~DelayBasis() = default;

void DelayBasis::analyse(const cfloat* response, cfloat* coefficients) const
{
    using Eigen::Map, Eigen::VectorXcf;
    for (const auto& band : d_bands)
        Map<VectorXcf>(coefficients + band->coefficient, band->adjoint.rows()).noalias() =
            band->adjoint * Map<const VectorXcf>(response + band->carrier, band->adjoint.cols());
}

void DelayBasis::synthesise(const cfloat* coefficients, cfloat* response) const
{
    using Eigen::Map, Eigen::VectorXcf;
    for (const auto& band : d_bands)
        Map<VectorXcf>(response + band->carrier, band->basis.rows()).noalias() =
            band->basis *
            Map<const VectorXcf>(coefficients + band->coefficient, band->basis.cols());
}

} // namespace core
} // namespace diffsem
} // namespace gr
