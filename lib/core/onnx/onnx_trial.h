/*
 * SPDX-License-Identifier: GPL-3.0-or-later
 *
 * A graph run on data that nobody sent, to learn what it does with them.
 */
#pragma once

#include "onnx/onnx_plan.h"

#include <cstddef>
#include <functional>
#include <random>
#include <string>
#include <vector>

namespace gr {
namespace diffsem {
namespace core {

enum class Rows {
    apart,  // they do not know of one another
    mixed,  // an answer depends on its neighbours
    unknown // the graph takes no random data, or answers at random
};

class Trial
{
public:
    //! All that is given must outlive it. `names`: the outputs that are looked at.
    Trial(const OnnxFile& file,
          const OrtSession& session,
          const std::vector<std::string>& names,
          const GraphPlan& plan);

    //! What comes out of a batch of that many, for zeros; for ones, if zeros are nothing that the graph takes.
    std::vector<OrtTensor> sizes(std::size_t batch) const;

    // With the outputs as sizes() found them; each throws Error where their size follows from the data.

    //! One row at a time; false if the graph takes no random data.
    bool same_size(const std::vector<OrtTensor>& found);
    //! Open batch: rows alone, and together. `axes`: of each output, where they lie one behind the other.
    Rows open_rows(const std::vector<OrtTensor>& found, const std::vector<int>& axes);
    //! Fixed batch, which is filled up with zeros: a row alone in it, in its first and last place, and among others.
    Rows fixed_rows(const std::vector<OrtTensor>& found);

private:
    enum class Pattern { normal, bits, counts, twos, zeros_and_one, ones_and_two, loud };
    using Answers = std::vector<OrtSession::Answer>;
    using Row = std::vector<std::vector<double>>; // of one inference: values of each streamed input

    Rows each_pattern(const std::function<Rows(Pattern)>& look);
    bool decides(Pattern pattern) const;
    Row all(double value) const;
    Row draw(Pattern pattern);
    Answers run(const std::vector<Row>& rows) const;
    void compare_sizes(const Answers& answers, const std::vector<OrtTensor>& found) const;
    static bool same_rows(const Answers& a,
                          std::size_t rows_a,
                          std::size_t at_a,
                          const Answers& b,
                          std::size_t rows_b,
                          std::size_t at_b,
                          const std::vector<int>& axes);

    const OnnxFile& d_file;
    const OrtSession& d_session;
    const std::vector<std::string>& d_names;
    const GraphPlan& d_plan;
    const std::vector<OrtTensor> d_tensors;
    std::mt19937 d_random{1};
    bool d_took_normal = false; // so the graph takes any numbers
};

} // namespace core
} // namespace diffsem
} // namespace gr
