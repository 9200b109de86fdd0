/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "operators/operator_table.h"

#include <stdexcept>
#include <string>
#include <vector>

namespace gr {
namespace diffsem {
namespace core {

const OperatorEntry& identity_operator();
const OperatorEntry& mask_operator();
const OperatorEntry& matrix_operator();
const OperatorEntry& convolution_operator();
const OperatorEntry& quantiser_operator();
const OperatorEntry& transform_operator();
const OperatorEntry& network_operator();

const std::vector<const OperatorEntry*>& operators()
{
    static const std::vector<const OperatorEntry*> table = {
        &identity_operator(),
        &mask_operator(),
        &matrix_operator(),
        &convolution_operator(),
        &quantiser_operator(),
        &transform_operator(),
        &network_operator(),
    };
    return table;
}

void refuse_observed(const OperatorInput& input, const char* remedy)
{
    if (!input.observed.empty())
        throw Error(
            "observed elements can be chosen for the operators 'identity' and 'mask' only: " +
            std::string(remedy));
}

void refuse_matrix(const OperatorInput& input, const char* name)
{
    if (!input.matrix.empty())
        throw Error("a measurement matrix was given, but the scheme has the operator '" +
                    std::string(name) +
                    "': leave the matrix out, or choose a scheme with the operator 'matrix'");
}

void Operator::vjp(const Tensor&, const Tensor& v, Tensor& out) const
{
    if (!linear())
        throw std::logic_error(std::string(type()) + " has no derivative");
    adjoint(v, out);
}

void Operator::whiten(const Sigma&, const Sigma&, Tensor&, std::complex<double>*) const
{
    throw std::logic_error(std::string(type()) + " does not whiten");
}

void Operator::proximal_variance(const Sigma&, const Sigma&, float*) const
{
    throw std::logic_error(std::string(type()) + " has one level for the whole item");
}

} // namespace core
} // namespace diffsem
} // namespace gr
