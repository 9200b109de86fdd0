/*
 * SPDX-License-Identifier: GPL-3.0-or-later
 *
 * What evaluating a mixture needs in memory.
 */
#pragma once

#include "priors/mixture.h"

#include <cstdint>
#include <vector>

namespace gr {
namespace diffsem {
namespace core {

constexpr double least_noise = 1e-12; // sigma^2 below it is treated as -120 dB
constexpr double least_weight = 1e-9; // components below this responsibility are skipped

/*
 * For one set S of rows with equal noise s^2, C_SS = Q diag(l) Q^H makes every level cheap:
 *   E[x0 | z]_k   = m_k + (C B_S^H Q) diag(1 / (l + s^2)) Q^H (z - B_S m_k)
 *   Var[x0 | z]_k = rest + sum_j power_j s^2 / (l_j + s^2),  power_j = |C B_S^H q_j|^2 / l_j
 *   log N(z)_k    = -sum_j log(l_j + s^2) + |q_j^H (z - B_S m_k)|^2 / (l_j + s^2)
 * `rest` is the variance that no measurement of S removes. The sums have only positive terms, so
 * float suffices for them at any SNR.
 */
struct MixtureDenoiser::Pattern {
    std::vector<std::uint8_t> rows;
    std::vector<int> index;             // the rows of S
    Eigen::MatrixXcf project;           // stacked over k: Q^H
    Eigen::VectorXcf offset;            // stacked: Q^H B_S m_k
    Eigen::VectorXd eigenvalues;        // stacked
    std::vector<Eigen::Index> first;    // where k begins in the stack
    std::vector<Eigen::MatrixXcf> gain; // n x q_k
    std::vector<Eigen::MatrixXf> power; // n x q_k
    Eigen::MatrixXf rest;               // n x K
};

struct MixtureDenoiser::Space : public Workspace {
    std::vector<Pattern> patterns;
    std::size_t next_pattern = 0;
    std::vector<std::uint8_t> rows; // measured rows of the item at hand
    std::size_t run = 0;            // items of one pattern collected so far, and
    Eigen::VectorXd noise;          // their sigma^2
    Eigen::MatrixXcf z, u;          // their rows and projections
    Eigen::VectorXcf scaled;
    Eigen::MatrixXcf mean;            // n x K, of one item
    Eigen::MatrixXf variance;         // n x K
    Eigen::VectorXd evidence, weight; // K
    std::vector<int> index;           // unequal noise: rows, sigma^2, M, its factor, solutions
    Eigen::VectorXd row_noise;
    Eigen::VectorXcd row, solution, shift; // shift: n, of one component's mean
    Eigen::MatrixXcd gram, cross;
    Eigen::MatrixXcd pulled, score; // vjp(): rows x K, of each component
    Eigen::VectorXcd direction;     // n
    Eigen::VectorXd along;          // K
};

} // namespace core
} // namespace diffsem
} // namespace gr
