/*
 * SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Measurements of two unknowns at once.
 */
#pragma once

#include <gnuradio/diffsem/core/base/entry.h>
#include <gnuradio/diffsem/core/base/fields.h>
#include <gnuradio/diffsem/core/operators/operator.h>

#include <Eigen/Core>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace gr {
namespace diffsem {
namespace core {

//! What is held of an unknown at some time: mean and E|x - mean|^2 of each of its elements.
struct Belief {
    const cfloat* mean = nullptr;
    const float* variance = nullptr;
};

//! Elements of an unknown that are given beforehand (pilots): a flag and a value for each; empty: none.
struct KnownElements {
    std::vector<std::uint8_t> flags;
    std::vector<cfloat> values;
    bool any() const { return !flags.empty(); }
    bool at(std::size_t i) const { return any() && flags[i]; }
};

//! One measurement: rows() elements of y, and their noise variances (stride 0: one for all; infinite: not measured).
struct Measurement {
    const cfloat* y = nullptr;
    const float* noise_var = nullptr;
    std::size_t noise_stride = 0;
    float noise(std::size_t i) const { return noise_var[noise_stride * i]; }
};

//! How the uncertainty of one unknown enters the update of the other (docs/openings/several_unknowns.md).
enum class Uncertainty {
    noise,      //!< its error is further noise of y, at the power that the present belief expects
    mean_field, //!< E log p(y | ., other) under what is believed of the other
};

/*!
 * y = B(a, b) + n, linear in each of two unknowns: given one of them it is a linear operator of the
 * other, so an inference of both alternates between two ordinary ones. Complex domain.
 */
class BilinearOperator
{
public:
    virtual ~BilinearOperator() = default;
    virtual std::vector<std::string> unknowns() const = 0; //!< two names
    virtual std::size_t rows() const = 0;
    virtual std::vector<std::int64_t> shape() const = 0;                    //!< of y
    virtual std::vector<std::int64_t> shape(std::size_t unknown) const = 0; //!< of one of them
    virtual const KnownElements& known(std::size_t unknown) const = 0;
    //! Operator of the other unknown. Throws Error for an unknown name or a value of wrong size.
    virtual std::shared_ptr<const Operator> given(const std::string& name,
                                                  const Tensor& value) const = 0;
    //! y = B(a, b)
    virtual void apply(const cfloat* a, const cfloat* b, cfloat* y) const = 0;

    //! How y falls into independent looks at one unknown, given the other: square blocks.
    virtual Blocks looks(std::size_t unknown) const = 0;
    /*!
     * What y says of one block of an unknown x: log p(y | x) = 2 Re b^H x - x^H G x + const. Elements that are known take
     * no part: what they explain is subtracted from y, and their rows of G and b are 0.
     * \param own  what is believed of it now
     * \param gram lower triangle of G, block x block; b: block
     */
    virtual void information(std::size_t unknown,
                             std::size_t block,
                             const Measurement& y,
                             const Belief& own,
                             const Belief& other,
                             Uncertainty treatment,
                             Eigen::Ref<Eigen::MatrixXcd> gram,
                             Eigen::Ref<Eigen::VectorXcd> b) const = 0;
};

//! Y = H X of a MIMO link; H is receive x transmit, X transmit x time, all row major. Known columns of X: their indices, and
//! transmit x their number of values. Throws Error.
std::unique_ptr<BilinearOperator>
make_mimo_operator(std::size_t receive,
                   std::size_t transmit,
                   std::size_t time,
                   const std::vector<std::size_t>& known_columns = {},
                   const std::vector<cfloat>& known_values = {});

// ---- by name ----

struct BilinearEntry : Entry {
    //! Checks the keys and keeps what they say. Throws Error.
    std::shared_ptr<const BilinearOperator> (*read)(const Fields& fields);
    const char* example = "{}"; //!< keys of a small instance that the contract tests try
};

const std::vector<const BilinearEntry*>& bilinear_operators();

} // namespace core
} // namespace diffsem
} // namespace gr
