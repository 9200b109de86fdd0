/*
 * SPDX-License-Identifier: GPL-3.0-or-later
 *
 * How far a step of guidance may go through an operator that is not linear. The steps solve a system that holds near D, and
 * a net's J is not quite the symmetric one that conjugate gradients suppose, so that many of them leave what the system
 * describes. Each has to lower what it is the linear part of,
 *     |y - A(D + q)|_R^2 + q^H C^-1 q,   q = C u the sum of the steps, the second term being Re <q, u>,
 * is halved where it does not (Nocedal and Wright 2006, section 3.1), and conjugate gradients then begin anew; where no length
 * will do it was the last one. The first step alone goes
 * as far as the system says: what it overshoots at one level the next ones see and mend, and held back by this search a
 * learned prior of digits came out 0.8 dB worse. Private.
 */
#pragma once

#include <gnuradio/diffsem/core/infer/guidance.h>

#include <cstddef>
#include <vector>

namespace gr {
namespace diffsem {
namespace core {

class LineSearch
{
public:
    //! Memory for items of these shapes.
    LineSearch(const Tensor& x, const Tensor& y, std::size_t max_batch);

    struct Step {
        const Tensor &at, &correction, &spread, &along; //!< D, q before it, C w and w
        bool first;
    };
    //! residual: y - A(D), 0 where nothing was measured.
    void begin(const GuidanceParts& parts, const Tensor& residual);
    //! The length of each item's step, which may become 0. moved is scratch of the shape of x.
    void shorten(const GuidanceParts& parts,
                 const Step& step,
                 Tensor& moved,
                 std::vector<float>& length);
    //! After the step: of items that shall take no more the residual becomes 0, of those that begin anew <r, P r>.
    void end(Tensor& residual, std::vector<double>& product) const;

private:
    Tensor d_pulled, d_there; // u; y - A where a step leads
    std::vector<double> d_objective;
    std::vector<char> d_open, d_shortened,
        d_ended; // a length that is still looked for; of this step; no more
};

} // namespace core
} // namespace diffsem
} // namespace gr
