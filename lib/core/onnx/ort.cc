/*
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#include "onnx/ort_call.h"

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <initializer_list>
#include <vector>

namespace gr {
namespace diffsem {
namespace core {
namespace {

constexpr std::size_t most_at_once = 65536;
constexpr std::size_t most_bytes = std::size_t(1) << 30; // of the buffers of one stream

//! Before anything is allocated by what a file or a user says.
void check_size(const std::string& path,
                std::initializer_list<const std::vector<OrtTensor>*> lists,
                std::size_t batch)
{
    std::size_t bytes = 0;
    for (const auto* tensors : lists)
        for (const auto& t : *tensors)
            bytes += std::min(t.elements(std::min(batch, most_at_once)), most_bytes) *
                     std::max<std::size_t>(elem_size(t.type), 1);
    if (batch > most_at_once || bytes > most_bytes)
        throw Error(path + ": a batch of " + std::to_string(batch) + " is more than " +
                    std::to_string(most_at_once) + ", or its inputs and outputs more than " +
                    std::to_string(most_bytes >> 20) +
                    " MB. Give a smaller max_batch, or export the model for a smaller one");
}

std::vector<std::int64_t> shape_at(const OrtTensor& tensor, std::size_t batch)
{
    std::vector<std::int64_t> shape = tensor.shape;
    std::replace(shape.begin(), shape.end(), TensorInfo::dynamic, static_cast<std::int64_t>(batch));
    return shape;
}

std::vector<const char*> names_of(const std::vector<OrtTensor>& tensors)
{
    std::vector<const char*> names;
    for (const auto& t : tensors)
        names.push_back(t.name.c_str());
    return names;
}

} // namespace

std::size_t elem_size(ElemType type)
{
    switch (type) {
    case ElemType::uint8:
    case ElemType::int8:
    case ElemType::boolean:
        return 1;
    case ElemType::uint16:
    case ElemType::int16:
    case ElemType::float16:
    case ElemType::bfloat16:
        return 2;
    case ElemType::float32:
    case ElemType::int32:
    case ElemType::uint32:
        return 4;
    case ElemType::int64:
    case ElemType::float64:
    case ElemType::uint64:
        return 8;
    default:
        return 0;
    }
}

std::size_t OrtTensor::elements(std::size_t batch) const
{
    std::size_t n = 1;
    for (const std::int64_t d : shape)
        n *= d == TensorInfo::dynamic ? batch : static_cast<std::size_t>(d);
    return n;
}

class OrtSession::Impl
{
public:
    std::string path;
    const OrtApi* api = nullptr;
    Handle<OrtSessionOptions> options;
    Handle<::OrtSession> session;
    Handle<OrtMemoryInfo> memory;
    double run_limit = 0;

    Handle<OrtValue> bind(const OrtTensor& tensor, std::size_t batch, void* data) const
    {
        const auto shape = shape_at(tensor, batch);
        OrtValue* value = nullptr;
        Checked(api, path)(
            api->CreateTensorWithDataAsOrtValue(memory.get(),
                                                data,
                                                tensor.elements(batch) * elem_size(tensor.type),
                                                shape.data(),
                                                shape.size(),
                                                static_cast<ONNXTensorElementDataType>(tensor.type),
                                                &value),
            ("cannot bind '" + tensor.name + "'").c_str());
        return Handle<OrtValue>(value, api->ReleaseValue);
    }
};

OrtSession::OrtSession() : d(std::make_unique<Impl>()) {}
OrtSession::~OrtSession() = default;
const std::string& OrtSession::path() const
{
    return d->path;
}

namespace {

void choose_device(const OrtApi* api, OrtSessionOptions* options, const std::string& device)
{
    if (device == "cpu")
        return;
    const bool cuda = device.compare(0, 4, "cuda") == 0;
    const std::string id = cuda && device.size() > 5 && device[4] == ':' ? device.substr(5) : "0";
    if (!cuda || (device.size() > 4 && device[4] != ':') ||
        id.find_first_not_of("0123456789") != std::string::npos)
        throw Error("device '" + device + "' is unknown. Use cpu, cuda or cuda:N");
    const auto check = [&](OrtStatus* status) {
        if (!status)
            return;
        std::string message = api->GetErrorMessage(status);
        api->ReleaseStatus(status);
        message.resize(message.find_last_not_of('.') + 1);
        throw Error("device '" + device + "' cannot be used by this ONNX Runtime: " + message +
                    ". Install onnxruntime-gpu, or choose device cpu");
    };
    OrtCUDAProviderOptionsV2* cuda_options = nullptr;
    check(api->CreateCUDAProviderOptions(&cuda_options));
    Handle<OrtCUDAProviderOptionsV2> holder(cuda_options, api->ReleaseCUDAProviderOptions);
    const char* keys[] = {"device_id"};
    const char* values[] = {id.c_str()};
    check(api->UpdateCUDAProviderOptions(cuda_options, keys, values, 1));
    check(api->SessionOptionsAppendExecutionProvider_CUDA_V2(options, cuda_options));
    // Operators that the device lacks would otherwise run on the CPU without a word.
    check(api->AddSessionConfigEntry(options, "session.disable_cpu_ep_fallback", "1"));
}

/*!
 * What a user can do about a model that is refused. The runtime alone knows what it supports, and says so in texts for
 * its own developers.
 */
std::string
why_refused(const OnnxFile& file, const std::string& message, const std::string& version)
{
    const auto says = [&](const char* words) { return message.find(words) != std::string::npos; };
    const std::string newer = "Install a newer one (pip install --upgrade onnxruntime), or ";
    if (says("IR version"))
        return "is written in version " + std::to_string(file.ir_version) +
               " of the ONNX format, which ONNX Runtime " + version + " does not know. " + newer +
               "set model.ir_version to 10 with the Python package onnx and save it again";
    if (says("pset") && (says("under development") || says("only *guarantees*")))
        return "uses a version of the operator set that ONNX Runtime " + version +
               " does not know. " + newer +
               "export with a lower opset_version, or use onnx.version_converter";
    if (says("not a registered function") || says("No Op registered") || says("No opset import"))
        return "has an operator that ONNX Runtime " + version + " does not know in this version. " +
               newer + "export the model with standard operators of a released opset";
    if (says("Could not find an implementation") || says("NOT_IMPLEMENTED"))
        return "has an operator for which ONNX Runtime " + version +
               " has no code at its types. Export the model with float32 in place of such types, "
               "or "
               "with another operator";
    if (says("ype Error") || says("ShapeInferenceError") || says("INVALID_GRAPH") ||
        says("not a valid"))
        return "is no valid graph: its operators, types or shapes do not fit one another. "
               "onnx.checker.check_model(model, full_check=True) says where; export it again";
    if (says("not supported"))
        return "has an operator with a setting that ONNX Runtime " + version +
               " does not support. " + newer +
               "export the model without it (recurrent ones: with time first, layout 0)";
    return "cannot be loaded by ONNX Runtime " + version +
           ". Try onnx.checker.check_model on it, then a newer ONNX Runtime, or export it again";
}

} // namespace

std::shared_ptr<const OrtSession> OrtSession::create(const OnnxFile& file, const OrtOptions& wanted)
{
    if (wanted.intra_op_threads < 1 || wanted.intra_op_threads > 256)
        throw Error("intra_op_threads is " + std::to_string(wanted.intra_op_threads) +
                    ". Use 1 (one thread for each block) to 256");
    if (!(wanted.run_limit >= 0))
        throw Error(
            "run_limit is not a time: give the seconds that one run may take, or 0 for any");
    const LoadedOrt& ort = load_onnxruntime(wanted.library);
    std::shared_ptr<OrtSession> result(new OrtSession());
    Impl& d = *result->d;
    d.path = file.path;
    d.run_limit = wanted.run_limit;
    d.api = ort.api;
    const Checked check(d.api, d.path);

    OrtSessionOptions* options = nullptr;
    check(d.api->CreateSessionOptions(&options), "options");
    d.options = Handle<OrtSessionOptions>(options, d.api->ReleaseSessionOptions);
    check(d.api->SetIntraOpNumThreads(options, wanted.intra_op_threads), "options");
    check(d.api->SetInterOpNumThreads(options, 1), "options");
    check(d.api->SetSessionExecutionMode(options, ORT_SEQUENTIAL), "options");
    const char* spin = wanted.spinning ? "1" : "0";
    check(d.api->AddSessionConfigEntry(options, "session.intra_op.allow_spinning", spin),
          "options");
    check(d.api->AddSessionConfigEntry(options, "session.inter_op.allow_spinning", spin),
          "options");
    // The process's memory limit (ort_library.cc) holds for who uses its allocator.
    check(d.api->AddSessionConfigEntry(options, "session.use_env_allocators", "1"), "options");
    if (!file.fold_constants)
        check(d.api->AddSessionConfigEntry(
                  options, "optimization.disable_specified_optimizers", "ConstantFolding"),
              "options");
    choose_device(d.api, options, wanted.device);
    if (file.external_data) {
        const auto folder = std::filesystem::absolute(file.path).parent_path().string();
        check(d.api->AddSessionConfigEntry(
                  options, "session.model_external_initializers_file_folder_path", folder.c_str()),
              "options");
    }
    ::OrtSession* session = nullptr;
    // From the bytes that were checked, not from the path: a file may change between two looks.
    if (OrtStatus* status = d.api->CreateSessionFromArray(
            ort.env, file.bytes.data(), file.bytes.size(), options, &session)) {
        const std::string message = d.api->GetErrorMessage(status);
        d.api->ReleaseStatus(status);
        const OrtLibrary& library = ort.library;
        throw Error(file.path + ": " + why_refused(file, message, library.version) +
                    " (ONNX Runtime: " + message + ")");
    }
    d.session = Handle<::OrtSession>(session, d.api->ReleaseSession);
    OrtMemoryInfo* memory = nullptr;
    check(d.api->CreateCpuMemoryInfo(OrtArenaAllocator, OrtMemTypeDefault, &memory), "memory");
    d.memory = Handle<OrtMemoryInfo>(memory, d.api->ReleaseMemoryInfo);
    return result;
}

std::vector<OrtSession::Answer> OrtSession::answer(const std::vector<OrtTensor>& inputs,
                                                   const std::vector<std::vector<char>>& data,
                                                   const std::vector<std::string>& outputs,
                                                   std::size_t batch) const
{
    const Checked check(d->api, d->path);
    check_size(d->path, {&inputs}, batch);
    std::vector<Handle<OrtValue>> values;
    std::vector<const OrtValue*> pointers;
    for (std::size_t i = 0; i < inputs.size(); ++i) {
        values.push_back(d->bind(inputs[i], batch, const_cast<char*>(data[i].data())));
        pointers.push_back(values.back().get());
    }
    std::vector<const char*> output_names;
    for (const auto& name : outputs)
        output_names.push_back(name.c_str());
    std::vector<OrtValue*> raw(outputs.size(), nullptr);
    const auto input_names = names_of(inputs);
    LimitedRun run(d->api, d->session.get(), d->path, d->run_limit);
    run(input_names,
        pointers.data(),
        output_names,
        raw.data(),
        ("cannot run a batch of " + std::to_string(batch)).c_str());
    for (auto* value : raw)
        values.emplace_back(value, d->api->ReleaseValue);

    std::vector<Answer> result;
    for (std::size_t i = 0; i < outputs.size(); ++i) {
        Answer answer;
        OrtTensor& t = answer.tensor;
        t.name = outputs[i];
        t.type = ElemType::undefined;
        int is_tensor = 0;
        check(d->api->IsTensor(raw[i], &is_tensor), "output");
        if (is_tensor) {
            OrtTensorTypeAndShapeInfo* info = nullptr;
            check(d->api->GetTensorTypeAndShape(raw[i], &info), "output");
            Handle<OrtTensorTypeAndShapeInfo> holder(info, d->api->ReleaseTensorTypeAndShapeInfo);
            ONNXTensorElementDataType type = ONNX_TENSOR_ELEMENT_DATA_TYPE_UNDEFINED;
            std::size_t rank = 0;
            check(d->api->GetTensorElementType(info, &type), "output");
            check(d->api->GetDimensionsCount(info, &rank), "output");
            t.type = static_cast<ElemType>(type);
            t.shape.resize(rank);
            check(d->api->GetDimensions(info, t.shape.data(), rank), "output");
            void* from = nullptr;
            const std::size_t bytes = t.elements(1) * elem_size(t.type);
            if (bytes)
                check(d->api->GetTensorMutableData(raw[i], &from), "output");
            answer.data.assign(static_cast<const char*>(from),
                               static_cast<const char*>(from) + bytes);
        }
        result.push_back(std::move(answer));
    }
    return result;
}

std::vector<OrtTensor> OrtSession::probe(const std::vector<OrtTensor>& inputs,
                                         const std::vector<std::string>& outputs,
                                         std::size_t batch) const
{
    check_size(d->path, {&inputs}, batch);
    std::vector<std::vector<char>> zeros;
    for (const auto& t : inputs)
        zeros.emplace_back(std::max<std::size_t>(t.elements(batch) * elem_size(t.type), 1));
    std::vector<OrtTensor> tensors;
    for (auto& answer : answer(inputs, zeros, outputs, batch))
        tensors.push_back(std::move(answer.tensor));
    return tensors;
}

class OrtRun::Impl
{
public:
    std::shared_ptr<const OrtSession> session;
    std::vector<OrtTensor> inputs, outputs;
    std::vector<const char*> input_names, output_names;
    std::size_t max_batch = 1;
    std::vector<std::unique_ptr<void, void (*)(void*)>> buffers;
    std::vector<Handle<OrtValue>> values; // (batch - 1) * tensors + index
    std::vector<const OrtValue*> input_values;
    std::vector<OrtValue*> output_values;
    std::unique_ptr<LimitedRun> run;

    void allocate(const OrtTensor& t)
    {
        if (!elem_size(t.type))
            throw Error(session->path() + ": '" + t.name + "' is of type " +
                        elem_type_name(t.type) + ", which has no buffer. Choose another output");
        // Whole cache lines, aligned: the runtime's kernels then take their fast path.
        const std::size_t bytes = (t.elements(max_batch) * elem_size(t.type) + 127) / 64 * 64;
        void* memory = std::aligned_alloc(64, bytes);
        if (!memory)
            throw std::bad_alloc();
        std::memset(memory, 0, bytes);
        buffers.emplace_back(memory, std::free);
    }
};

OrtRun::OrtRun(std::shared_ptr<const OrtSession> session,
               std::vector<OrtTensor> inputs,
               std::vector<OrtTensor> outputs,
               std::size_t max_batch)
    : d(std::make_unique<Impl>())
{
    d->session = std::move(session);
    d->inputs = std::move(inputs);
    d->outputs = std::move(outputs);
    check_size(d->session->path(), {&d->inputs, &d->outputs}, max_batch);
    d->max_batch = std::max<std::size_t>(max_batch, 1);
    d->input_names = names_of(d->inputs);
    d->output_names = names_of(d->outputs);
    for (const auto& t : d->inputs)
        d->allocate(t);
    for (const auto& t : d->outputs)
        d->allocate(t);
    const auto& impl = d->session->impl();
    d->run = std::make_unique<LimitedRun>(impl.api, impl.session.get(), impl.path, impl.run_limit);
    for (std::size_t batch = 1; batch <= d->max_batch; ++batch) {
        for (std::size_t i = 0; i < d->inputs.size(); ++i) {
            d->values.push_back(impl.bind(d->inputs[i], batch, d->buffers[i].get()));
            d->input_values.push_back(d->values.back().get());
        }
        for (std::size_t i = 0; i < d->outputs.size(); ++i) {
            void* data = d->buffers[d->inputs.size() + i].get();
            d->values.push_back(impl.bind(d->outputs[i], batch, data));
            d->output_values.push_back(d->values.back().get());
        }
    }
}

OrtRun::~OrtRun() = default;
std::size_t OrtRun::max_batch() const
{
    return d->max_batch;
}
void* OrtRun::input(std::size_t index)
{
    return d->buffers[index].get();
}
const void* OrtRun::output(std::size_t index) const
{
    return d->buffers[d->inputs.size() + index].get();
}

void OrtRun::run(std::size_t batch)
{
    if (batch < 1 || batch > d->max_batch)
        throw Error(d->session->path() + ": a batch of " + std::to_string(batch) +
                    " does not fit buffers for " + std::to_string(d->max_batch));
    (*d->run)(d->input_names,
              d->input_values.data() + (batch - 1) * d->inputs.size(),
              d->output_names,
              d->output_values.data() + (batch - 1) * d->outputs.size(),
              "failed");
}

} // namespace core
} // namespace diffsem
} // namespace gr
