/*
 * SPDX-License-Identifier: GPL-3.0-or-later
 *
 * ONNX Runtime, opened with dlopen when it is first needed: one binary of ours runs on every
 * release from 1.21 on, wherever it was installed, and nothing of ours needs it to load.
 */
#pragma once

#include <gnuradio/diffsem/core/onnx/onnx_file.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace gr {
namespace diffsem {
namespace core {

struct OrtOptions {
    std::string library;        //!< path of libonnxruntime.so; empty: search
    int intra_op_threads = 1;   //!< threads inside one operator; GNU Radio threads its blocks
    bool spinning = false;      //!< idle threads spin: quicker wake-up, a core burnt
    std::string device = "cpu"; //!< `cpu`, `cuda` or `cuda:N`; never replaced by another
    //! Seconds that one run may take, 0: any. Looked at between the operators of the graph, so one that is
    //! slow by itself comes to its end first.
    double run_limit = 30;

    OrtOptions() = default;
    explicit OrtOptions(const LoadOptions& o)
        : library(o.onnxruntime),
          intra_op_threads(o.intra_op_threads),
          spinning(o.spinning),
          device(o.device)
    {
    }
};

struct OrtLibrary {
    std::string path, version;
};

/*!
 * Which library is used; loads it on first call. Order: the argument, $DIFFSEM_ONNXRUNTIME (these
 * two are taken at their word), the path configured at build, the wheel of $VIRTUAL_ENV, places
 * relative to our own shared object, the system's library path. Throws Error with all that was searched.
 */
OrtLibrary find_onnxruntime(const std::string& library = "");

//! Bytes of one element; 0 for a type that has no fixed size or no place in our buffers.
std::size_t elem_size(ElemType type);

//! One tensor that is bound to a buffer: `shape` has TensorInfo::dynamic where the batch goes, if it is dynamic.
struct OrtTensor {
    std::string name;
    ElemType type = ElemType::float32;
    std::vector<std::int64_t> shape;

    //! Number of elements at this batch.
    std::size_t elements(std::size_t batch) const;
};

//! A loaded graph: immutable, shared between streams, safe to use from several threads.
class OrtSession
{
public:
    static std::shared_ptr<const OrtSession> create(const OnnxFile& file,
                                                    const OrtOptions& options = OrtOptions());
    ~OrtSession();
    OrtSession(const OrtSession&) = delete;
    OrtSession& operator=(const OrtSession&) = delete;

    const std::string& path() const;

    struct Answer {
        OrtTensor tensor; //!< as it came out; of type undefined where it is no tensor
        std::vector<char> data;
    };
    /*!
     * Runs once on these bytes, one for each input, with the runtime's own memory: for trials, not for streams.
     */
    std::vector<Answer> answer(const std::vector<OrtTensor>& inputs,
                               const std::vector<std::vector<char>>& data,
                               const std::vector<std::string>& outputs,
                               std::size_t batch) const;

    /*!
     * Runs once on zeros, with the runtime's own memory, and says what comes out: how the shapes
     * are learnt that a file leaves open. Each output asked for comes back with type and shape.
     */
    std::vector<OrtTensor> probe(const std::vector<OrtTensor>& inputs,
                                 const std::vector<std::string>& outputs,
                                 std::size_t batch) const;

    class Impl;
    const Impl& impl() const { return *d; }

private:
    OrtSession();
    std::unique_ptr<Impl> d;
};

//! The buffers of one stream. run() allocates nothing of ours. Not thread safe.
class OrtRun
{
public:
    OrtRun(std::shared_ptr<const OrtSession> session,
           std::vector<OrtTensor> inputs,
           std::vector<OrtTensor> outputs,
           std::size_t max_batch);
    ~OrtRun();
    OrtRun(const OrtRun&) = delete;
    OrtRun& operator=(const OrtRun&) = delete;

    std::size_t max_batch() const;
    void* input(std::size_t index);
    const void* output(std::size_t index) const;
    template <typename T>
    T* input_as(std::size_t index)
    {
        return static_cast<T*>(input(index));
    }
    template <typename T>
    const T* output_as(std::size_t index) const
    {
        return static_cast<const T*>(output(index));
    }

    //! Inputs to outputs. Throws Error when the runtime reports one, or when run_limit ended it; the
    //! next run is none the worse.
    void run(std::size_t batch);

private:
    class Impl;
    std::unique_ptr<Impl> d;
};

} // namespace core
} // namespace diffsem
} // namespace gr
