/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <gnuradio/diffsem/core/operators/bilinear.h>

#include <gnuradio/diffsem/core/base/error.h>

#include <vector>

namespace gr {
namespace diffsem {
namespace core {

namespace {

class MimoOperator : public BilinearOperator
{
public:
    MimoOperator(std::size_t receive, std::size_t transmit, std::size_t time)
        : d_receive(receive),
          d_transmit(transmit),
          d_time(time)
    {
    }
    std::vector<std::string> unknowns() const override { return {"H", "X"}; }
    std::size_t rows() const override { return d_receive * d_time; }

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

private:
    std::size_t d_receive, d_transmit, d_time;
};

} // namespace

std::unique_ptr<BilinearOperator>
make_mimo_operator(std::size_t receive, std::size_t transmit, std::size_t time)
{
    return std::make_unique<MimoOperator>(receive, transmit, time);
}

} // namespace core
} // namespace diffsem
} // namespace gr
