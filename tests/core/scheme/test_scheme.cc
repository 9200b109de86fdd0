/*
 * SPDX-License-Identifier: GPL-3.0-or-later
 *
 * From strings and manifests to schemes; and everything that can be wrong with them, each with the
 * words that tell what to do.
 */
#include "check.h"
#include "fixtures.h"

#include <gnuradio/diffsem/core/base/json.h>
#include <gnuradio/diffsem/core/scheme/load_scheme.h>

#include <algorithm>
#include <map>
#include <vector>

using namespace fixtures;

namespace {

std::string edit(std::string text, const std::string& from, const std::string& to)
{
    const auto at = text.find(from);
    CHECK(at != std::string::npos);
    return at == std::string::npos ? text : text.replace(at, from.size(), to);
}

std::string members()
{
    return std::string(gaussian_member) + ",\n " + gmm_member;
}

void good()
{
    Folder folder;
    const std::string path = write_package(folder, "toy", mixture(), members(), "measured");
    LoadOptions options;
    options.models_path = "/nonexistent:" + folder.path();

    const auto s = load_scheme("toy", options);
    const SchemeInfo& i = s->info();
    CHECK_EQUAL(i.package, "toy");
    CHECK_EQUAL(i.member, "gaussian");
    CHECK_EQUAL(i.title, "a test");
    CHECK_EQUAL(i.prior + " " + i.op + " " + i.start + " " + i.sampler + " " + i.plan,
                "gaussian mask matched one_step geometric");
    CHECK(i.shape == std::vector<std::int64_t>{6});
    CHECK(i.measured_gain && i.has_variance && i.complex_domain);
    CHECK_EQUAL(i.steps, 1);
    CHECK_EQUAL(s->item_size(), 6u);
    CHECK(Json::parse(i.manifest_json)["name"].as_string() == "toy");

    // The content hash, composed by hand.
    std::string lines;
    for (const char* file :
         {"covariance.npy", "covariances.npy", "manifest.json", "means.npy", "weights.npy"})
        lines += sha256_file(path + "/" + file) + "  " + file + "\n";
    CHECK_EQUAL(i.content_hash, sha256_hex(lines));

    const auto k = load_scheme(
        "toy/gmm:sampler=posterior_mean,steps=12,plan=karras,rho=5,sigma_min=0.02,gain=unit,seed=9",
        options);
    CHECK_EQUAL(k->info().prior, "gmm");
    CHECK_EQUAL(k->info().sampler, "posterior_mean");
    CHECK_EQUAL(k->info().plan, "karras");
    CHECK_EQUAL(k->info().steps, 12);
    CHECK(!k->info().measured_gain);
    for (const std::string& spec : {path,
                                    path + "/",
                                    path + ":sampler=ddpm,steps=3",
                                    path + "/gmm",
                                    path + "/gmm:start=noise,sampler=ddpm"})
        CHECK_EQUAL(load_scheme(spec)->info().package, "toy");
    CHECK_EQUAL(load_scheme(path + "/gmm:start=noise,sampler=ddpm,sigma_max=50")->info().member,
                "gmm");
    CHECK_EQUAL(load_scheme(path + ":start=level,sigma_max=0.5")->info().start, "level");

    const auto found = find_packages(options);
    CHECK(std::find(found.begin(), found.end(), std::make_pair(std::string("toy"), path)) !=
          found.end());

    setenv("DIFFSEM_MODELS", folder.path().c_str(), 1);
    CHECK_EQUAL(load_scheme("toy/gmm")->info().member, "gmm");
    unsetenv("DIFFSEM_MODELS");

    const auto ls = load_scheme("ls");
    CHECK_EQUAL(ls->info().prior, "none");
    CHECK_EQUAL(ls->info().steps, 0);
    CHECK_EQUAL(ls->item_size(), 0u);
    CHECK(!ls->info().has_variance);
}

// Every name in the registries makes a scheme.
void registries()
{
    Folder folder;
    const std::string path = write_package(folder, "toy", gaussian(), members());
    for (const auto& sampler : entry_names(samplers()))
        for (const auto& plan : fixtures::fixed_plans())
            for (const auto& start : entry_names(starts())) {
                const auto s = load_scheme(path + ":sampler=" + sampler + ",plan=" + plan +
                                           ",start=" + start + ",sigma_max=2");
                CHECK_EQUAL(s->info().sampler + s->info().plan + s->info().start,
                            sampler + plan + start);
            }
    CHECK(entry_names(priors()).size() >= 4 && entry_names(operators()).size() >= 3);
}

void bad_strings()
{
    Folder folder;
    const std::string path = write_package(folder, "toy", gaussian(), members());
    LoadOptions options;
    options.models_path = folder.path();
    const auto load = [&](const std::string& spec) { return load_scheme(spec, options); };
    CHECK_THROWS(load(""), {"has no name"});
    CHECK_THROWS(load("toi"),
                 {"'toi' is unknown",
                  "did you mean 'toy'?",
                  "Searched",
                  folder.path().c_str(),
                  "DIFFSEM_MODELS"});
    CHECK_THROWS(load("something_else_entirely"), {"is unknown", "known are"});
    CHECK_THROWS(load("toy/gm"), {"no member 'gm'", "did you mean 'gmm'?"});
    CHECK_THROWS(load("toy:step=3"),
                 {"'step' is of the operator 'quantiser'", "did you mean 'steps'?"});
    CHECK_THROWS(load("toy:steppes=3"), {"'steppes' is unknown", "did you mean 'steps'?"});
    CHECK_THROWS(load("toy:steps"), {"not of the form key=value"});
    CHECK_THROWS(load("toy:steps="), {"not of the form key=value"});
    CHECK_THROWS(load("toy:steps=3,steps=4"), {"'steps' stands twice"});
    CHECK_THROWS(load("toy:steps=3"), {"steps=3", "one_step", "sampler=posterior_mean"});
    CHECK_THROWS(load("toy:sampler=ddpm,steps=0"), {"plan.steps", "at least 1"});
    CHECK_THROWS(load("toy:sampler=ddpm,steps=2.5"), {"plan.steps", "whole number"});
    CHECK_THROWS(load("toy:sampler=ddpm,steps=99999"), {"plan.steps", "10000"});
    CHECK_THROWS(load("toy:sampler=ddpm,steps=many"), {"steps = 'many' is not a number"});
    CHECK_THROWS(load("toy:sampler=dpm"), {"sampler 'dpm' is unknown", "'ddpm'"});
    CHECK_THROWS(load("toy:plan=karas"), {"plan 'karas' is unknown", "'karras'"});
    CHECK_THROWS(load("toy:start=match"), {"start 'match' is unknown", "'matched'"});
    CHECK_THROWS(load("toy:rho=5"), {"the key 'rho' is unknown", "plan"});
    CHECK_THROWS(load("toy:eta=1.5"), {"sampler.eta", "0 .. 1"});
    CHECK_THROWS(load("toy:gain=auto"), {"gain 'auto' is unknown"});
    CHECK_THROWS(load("toy:seed=-1"), {"seed = '-1'"});
    CHECK_THROWS(load("toy:start=level"), {"'level' needs a 'sigma'", "sigma_max"});
    CHECK_THROWS(load("toy:sigma_min=-1"), {"plan.sigma_min"});
    CHECK_THROWS(load("ls/x"), {"'ls' is built in"});
    CHECK_THROWS(load("ls:steps=2"), {"'ls' is built in"});
    CHECK_THROWS(load("/no/such/model.onnx"), {"no such .onnx file or package folder"});
    CHECK_THROWS(load("./nothing"), {"no such .onnx file or package folder"});
    CHECK_THROWS(load("missing.onnx"), {"no such .onnx file"});
    CHECK_THROWS(load("../toy/../../etc/passwd"), {"no such"});
    CHECK_THROWS(load(std::string(5000, 'x')), {"is unknown"});
}

// Lists, words, the operator and what it reads; a key of a noun that others have too.
void keys_of_strings()
{
    Folder folder;
    const std::string path = write_package(folder, "toy", gaussian(), members());
    const auto load = [&](const std::string& keys) { return load_scheme(path + "/gmm:" + keys); };
    const auto list = load("sampler=ddim,plan=list,sigmas=10;5;1;0.1,start=noise");
    CHECK_EQUAL(list->info().steps, 4);
    CHECK_EQUAL(list->parts().plan.sigma_max(), 10.0f);
    CHECK(load("sampler=ddim,start=noise,full_power=true")->parts().full_power);
    CHECK_EQUAL(
        load("sampler=ddim,plan=scaled_linear,spacing=trailing,steps=20,end=0.01")->info().steps,
        20);
    CHECK_EQUAL(load("operator=identity")->info().op, "identity");
    const auto quantiser = load("operator=quantiser,bits=3,step=0.5,start=noise,sampler=ddpm");
    CHECK_EQUAL(quantiser->info().op, "quantiser");
    CHECK(quantiser->info().guard);
    OperatorInput input;
    input.size = 6;
    Tensor x(Domain::complex, {6}, 1), y(Domain::complex, {6}, 1);
    x.citem(0)[0] =
        cfloat(0.6f, -9.0f); // three bits of half a step: cells' middles, the last at 1.75
    quantiser->parts().make_operator(input)->apply(x, y);
    CHECK_NEAR(y.citem(0)[0].real(), 0.75, 1e-6);
    CHECK_NEAR(y.citem(0)[0].imag(), -1.75, 1e-6);
    const auto taps =
        load("operator=convolution,taps=1;0.5-0.25j;1j,boundary=linear,start=noise,sampler=ddpm");
    const auto op = taps->parts().make_operator(input);
    CHECK_EQUAL(op->rows(), 8u);
    CHECK(op->matrix()[6] == cfloat(0.5f, -0.25f) && op->matrix()[12] == cfloat(0, 1));
    const auto small =
        load("operator=convolution,taps=1e-1+2.5e-1j;-3;-1e+1-2E-1j,start=noise,sampler=ddpm");
    const auto circular = small->parts().make_operator(input);
    CHECK(circular->matrix()[0] == cfloat(0.1f, 0.25f) && circular->matrix()[6] == cfloat(-3));
    CHECK(circular->matrix()[12] == cfloat(-10, -0.2f));
    for (const char* wrong : {"1;", "j", "1+j", "nan", "1e999", "1;2j3", "0x10", "+1"})
        CHECK_THROWS(load(std::string("operator=convolution,start=noise,taps=") + wrong),
                     {"taps = '"});
    const auto matrix = load("operator=matrix,start=noise,sampler=ddpm");
    CHECK_THROWS(matrix->parts().make_operator(input), {"needs a measurement matrix of M x 6"});
    input.matrix.assign(12, 1.0f);
    input.matrix_rows = 2;
    CHECK_EQUAL(matrix->parts().make_operator(input)->rows(), 2u);
    CHECK_EQUAL(load("sampler=ddpm,plan.steps=7")->info().steps, 7);
    CHECK_EQUAL(load_scheme(path + "/gmm:device=cpu,max_model_mb=3.5")->info().member, "gmm");

    CHECK_THROWS(load("operator=matrix"), {"start 'matched'", "use start 'noise'"});
    CHECK_THROWS(load("operator=matrx"), {"operator 'matrx' is unknown", "'matrix'"});
    CHECK_THROWS(load("bits=3"), {"'bits' is of the operator 'quantiser'", "here is 'mask'"});
    CHECK_THROWS(load("operator=quantiser,bits=99,start=noise"), {"operator.bits", "1 .. 16"});
    CHECK_THROWS(load("operator=convolution,taps=1;x,start=noise"), {"taps = '1;x'", "10;5;1;0.1"});
    CHECK_THROWS(load("operator=matrix,matrix=a.npy"), {"a string names no file"});
    CHECK_THROWS(load("plan=list,sigmas=1;2"), {"plan.sigmas", "must fall"});
    CHECK_THROWS(load("plan=list,sigmas=1:2"), {"sigmas = '1:2'"});
    CHECK_THROWS(load("plan=list"), {"give its levels, 'sigmas'"});
    CHECK_THROWS(load("plan=list,timesteps=9;1"), {"plan.timesteps", "states no schedule"});
    CHECK_THROWS(load("plan=schedule"), {"states no schedule"});
    CHECK_THROWS(load("plan=cosine,spacing=middle"),
                 {"plan.spacing", "leading, trailing, linspace"});
    CHECK_THROWS(load("plan=cosine,steps_offset=1"), {"steps_offset", "leading"});
    CHECK_THROWS(load("plan.bits=7"), {"'plan.bits' is unknown"});
    CHECK_THROWS(load("device=cuda"), {"device = cuda", "'gmm'", "no network"});
    CHECK_THROWS(load("device=cuda:1"), {"device = cuda:1", "no network"});
    CHECK_THROWS(load("device=gpu"), {"device = 'gpu' is unknown", "cuda:N"});
    for (const char* size : {"0", "-1", "many", "1e9"})
        CHECK_THROWS(load(std::string("max_model_mb=") + size), {"max_model_mb", "megabytes"});
    CHECK_THROWS(load("max_model_mb=0.0001"), {"more than the limit"});
}

// One home for a key: a string that names it must not mean two things.
void keys_are_of_one_noun()
{
    std::map<std::string, std::string> owner;
    for (const auto& [noun, entries] : nouns())
        for (const Entry* entry : entries)
            for (const Key& key : entry->keys)
                if (noun != "prior") { // those are not for strings
                    CHECK_EQUAL(owner.emplace(key.name, noun).first->second, noun);
                    CHECK(key.flag + key.text + key.list + key.file <= 1);
                }
    CHECK(owner.size() > 15);
}

void bad_manifests()
{
    Folder folder;
    const std::string path = write_package(folder, "toy", mixture(), members()),
                      file = path + "/manifest.json";
    const std::string good = read_file(file, 1 << 20);
    const auto with = [&](const std::string& from, const std::string& to) {
        folder.write("toy/manifest.json", edit(good, from, to));
        return load_scheme(path + "/gmm");
    };
    const auto raw = [&](const std::string& text) {
        folder.write("toy/manifest.json", text);
        return load_scheme(path);
    };
    CHECK_THROWS(raw("{"), {"manifest.json, line 1"});
    CHECK_THROWS(raw("[]"), {"a manifest is an object"});
    CHECK_THROWS(raw("{}"), {"diffsem.contract is null", "reads 1"});
    CHECK_THROWS(raw("{\"diffsem.contract\": 1}"), {"'signal' must be an object"});
    CHECK_THROWS(raw(std::string((1 << 20) + 1, ' ')), {"more than the limit"});
    CHECK_THROWS(with("\"diffsem.contract\": 1", "\"diffsem.contract\": 2"),
                 {"diffsem.contract is 2", "update gr-diffsem"});
    CHECK_THROWS(with("[6]", "[5]"), {"covariances", "3 x 6 x 6", "3 x 5 x 5"});
    CHECK_THROWS(with("[6]", "[]"), {"'shape' must be a list"});
    CHECK_THROWS(with("[6]", "[99999999, 99999999]"), {"at most 2^24 elements"});
    CHECK_THROWS(with("[6]", "[6.5]"), {"'shape' must be a list"});
    CHECK_THROWS(with("\"unit\"", "\"units\""), {"gain 'units' is unknown", "'unit'"});
    CHECK_THROWS(with("\"complex\"", "\"complicated\""), {"domain 'complicated'"});
    CHECK_THROWS(with("\"complex\"", "\"real\""), {"real in the real domain"});
    CHECK_THROWS(with("\"gain\"", "\"gian\""), {"signal: the key 'gian' is unknown", "'gain'"});
    CHECK_THROWS(with("\"type\": \"gmm\"", "\"type\": \"gm\""), {"prior 'gm' is unknown", "'gmm'"});
    CHECK_THROWS(with("\"weights\":", "\"wights\":"), {"'wights' is unknown", "'weights'"});
    CHECK_THROWS(with("\"weights\": \"weights.npy\", ", ""), {"the key 'weights' is missing"});
    CHECK_THROWS(with(", \"covariances\": \"covariances.npy\"", ""),
                 {"either 'covariances' or 'variances'"});
    CHECK_THROWS(with("\"means\": \"means.npy\"", "\"means\": \"other.npy\""),
                 {"'other.npy', which 'files' does not list", "SHA-256"});
    CHECK_THROWS(with("\"means\": \"means.npy\"", "\"means\": 3"),
                 {"means", "must be the name of a .npy file"});
    CHECK_THROWS(with("\"means\": \"means.npy\"", "\"means\": \"weights.npy\""),
                 {"its shape is 3"});
    CHECK_THROWS(with("\"operator\": \"mask\"", "\"operator\": \"masks\""),
                 {"operator 'masks' is unknown", "'mask'"});
    CHECK_THROWS(with("\"operator\": \"mask\"", "\"operator\": \"matrix\""),
                 {"start 'matched'", "use start 'noise'"});
    CHECK_THROWS(with("\"operator\": \"mask\"", "\"plan\": {\"type\": \"geometric\", \"step\": 3}"),
                 {"plan: the key 'step' is unknown", "'steps'"});
    CHECK_THROWS(with("\"operator\": \"mask\"", "\"sampler\": 3"), {"sampler"});
    CHECK_THROWS(with("\"prior\": {\"type\": \"gmm\"", "\"prior\": {\"typ\": \"gmm\""),
                 {"needs \"prior\": {\"type\""});

    // Files: changed, missing, outside.
    CHECK_THROWS(with("\"means.npy\": \"", "\"means.npy\": \"0"), {"64 lower-case hex digits"});
    folder.write("toy/manifest.json", good);
    const std::string means = read_file(path + "/means.npy", 1 << 20);
    folder.write("toy/means.npy", means + "x");
    CHECK_THROWS(load_scheme(path),
                 {"'means.npy' has the SHA-256", "copy or export the package again"});
    std::filesystem::remove(path + "/means.npy");
    CHECK_THROWS(load_scheme(path), {"'means.npy', which is missing"});
    folder.write("means.npy", means);
    std::filesystem::create_symlink("../means.npy", path + "/means.npy");
    CHECK_THROWS(load_scheme(path), {"must lie in the package folder"});
    std::filesystem::remove(path + "/means.npy");
    folder.write("toy/means.npy", means);
    for (const char* outside : {"../means.npy", "/etc/passwd", "a/../../means.npy", ""})
        CHECK_THROWS(with("\"means.npy\": \"", "\"" + std::string(outside) + "\": \""),
                     {"must lie in the package folder"});
    CHECK_THROWS(with("\"files\": {", "\"files\": 3, \"was\": {"), {"'files' must be an object"});
    folder.write("toy/manifest.json", good);
    CHECK_EQUAL(load_scheme(path)->info().member, "gaussian");
}

} // namespace

int main()
{
    unsetenv("DIFFSEM_MODELS");
    good();
    registries();
    bad_strings();
    keys_of_strings();
    keys_are_of_one_noun();
    bad_manifests();
    return check::result("scheme");
}
