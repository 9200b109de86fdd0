/*
 * SPDX-License-Identifier: GPL-3.0-or-later
 *
 * A Gaussian mixture seen through noisy linear measurements, with the means to evaluate its posterior
 * fast where the noise is equal (an eigendecomposition for each set of measured rows, cached) and
 * exactly everywhere.
 */
#pragma once

#include <gnuradio/diffsem/core/operators/operator.h>
#include <gnuradio/diffsem/core/priors/gaussian.h>

#include <Eigen/Core>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

namespace gr {
namespace diffsem {
namespace core {

/*!
 * x0 ~ sum_k w_k CN(m_k, C_k), z = B x0 + e, e_i ~ CN(0, sigma_i^2), sigma_i = inf: no row i.
 * B = I is the prior's own denoiser; B = [I; A] has the measurement y below x.
 */
struct MixtureModel {
    Domain domain = Domain::complex;
    std::vector<std::int64_t> shape;
    Eigen::Index n = 0, rows = 0, components = 0;
    bool diagonal = false;       //!< all C_k diagonal and B = I: `variances` instead of matrices
    Eigen::VectorXd log_weights; //!< K
    Eigen::MatrixXcd means;      //!< n x K
    Eigen::MatrixXcd row_means;  //!< rows x K: B m_k
    Eigen::MatrixXd variances;   //!< n x K: diagonal of C_k
    std::vector<Eigen::MatrixXcd> cb;  //!< K of n x rows: C_k B^H
    std::vector<Eigen::MatrixXcd> bcb; //!< K of rows x rows: B C_k B^H

    bool changing = false; //!< the appended rows come anew with each item: nothing is kept of them

    //! The model with rows A appended below B = I. The model must have B = I.
    MixtureModel append(const Operator& a) const;
    //! Other rows in the place of the appended ones; without allocation where they are blocks.
    void replace(const Operator& a);

private:
    void replace_blocks(const Blocks& blocks);
};

class MixtureDenoiser : public JointDenoiser
{
public:
    explicit MixtureDenoiser(MixtureModel model);
    void replace(const Operator& op) override
    {
        d_model.replace(op);
        d_model.changing = true;
    }
    const Traits& traits() const override { return d_traits; }
    std::unique_ptr<Workspace> make_workspace(std::size_t max_batch) const override;
    void denoise(const Tensor& x,
                 const Sigma& sigma,
                 Workspace& workspace,
                 Estimate& out) const override;
    bool has_vjp() const override { return true; }
    void vjp(const Tensor& x,
             const Sigma& sigma,
             const Tensor& v,
             Workspace& workspace,
             Tensor& out) const override;
    const MixtureModel& model() const { return d_model; }

private:
    struct Pattern;
    struct Space;
    const Pattern& pattern(Space& space) const;
    void equal_noise(std::size_t begin, std::size_t end, const Pattern&, Space&, Estimate&) const;
    void any_noise(std::size_t item, const Sigma&, Space&, Estimate&) const;
    void diagonal(std::size_t item, const Sigma&, Space&, Estimate&) const;
    void differentiate(std::size_t item, const Sigma&, Space&) const;
    void load_rows(const Tensor& x, std::size_t item, const Pattern* pattern, Space&) const;
    void combine(std::size_t item, Space&, Estimate&) const;

    MixtureModel d_model;
    Traits d_traits;
};

} // namespace core
} // namespace diffsem
} // namespace gr
