# SPDX-License-Identifier: GPL-3.0-or-later
"""`gr-diffsem export WHAT MODEL --int8`: a network in 8 bits, and what that costs on the same samples.

Static quantisation by onnxruntime: activations as unsigned, weights as signed 8-bit numbers with a scale for each
output channel, as QuantizeLinear and DequantizeLinear around the operators (QDQ), which any runtime of opset 13 on
computes. Weights use 7 of their bits: on x86 without VNNI sums of two products saturate at 16 bits.
"""

import json
import os
import time
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from .. import schemes
from ..base import model_packages
from ..base.errors import UserError, unknown
from ..models.training import load_checkpoint
from . import package_writer

LARGEST_LOSS = 0.1  # dB: what may go into a package
LARGEST_TIME = 0.6  # of the fp32 network's, likewise
CALIBRATION_BATCH = 64  # channels
TIMED_SECONDS = 2.0


@dataclass
class Samples:
    """What a network is calibrated and measured on."""

    calibration: list  # feeds, {input: array}
    measure: object  # run -> {condition: squared errors}, each against the truth; None: there is none
    one: dict  # the feed of one item, which is timed
    calibrated_on: str
    measured_on: str
    held_out: list = field(default_factory=list)  # feeds, where there is no truth


def run(args, export):
    """Quantise; returns the report. export(checkpoint, model, refit, where) writes what is to be quantised."""
    model = Path(args.model)
    if model.suffix not in ("", ".onnx"):
        raise UserError(f"cannot write '{model}': give a name that ends in .onnx, or a folder")
    with TemporaryDirectory() as folder:
        if Path(args.checkpoint).suffix == ".pt":
            fp32 = model if not model.suffix else Path(folder) / "fp32.onnx"
            written = export(args.checkpoint, fp32, args.refit, args.scheme)["model"]
            state = load_checkpoint(args.checkpoint)
            scheme = schemes.trained(state["scheme"], state.get("source"), args.scheme)
            source, member = Path(written), state["member"]
        else:
            source, scheme, member = find(args.checkpoint, args.scheme)
        if not model.suffix:
            check_package(source, scheme, model)
        samples = samples_of(source, scheme, member, args)
        small = Path(folder) / "int8.onnx"
        quantise(source, samples.calibration, small)
        report = compare(source, small, samples)
        label(source, small, report)
        return keep(small, source, scheme, member, model, report)


def find(what, where=None):
    """(path of the .onnx, scheme or None, member or None) of `PACKAGE[/MEMBER]`, a folder, or a file.

    where: name or file of the package's scheme; None: found by the package's name."""
    path, member = model_packages.locate(what, checkout_first=True)
    if path.is_file():
        return path, None, None
    manifest = model_packages.read_manifest(path)
    member = member or manifest["default"]
    if member not in manifest["members"]:
        raise unknown("member", member, manifest["members"])
    prior = manifest["members"][member]["prior"]
    if prior.get("type") != "onnx":
        raise UserError(f"{what}: member {member} is no network ({prior.get('type')}): choose one that is")
    try:
        scheme = schemes.trained(manifest["name"], None, where)
    except UserError as error:
        raise UserError(f"{what}: {error}; or give its scheme with --scheme FILE.py") from None
    return path / prior["file"], scheme, member


def check_package(source, scheme, model):
    """An int8 member lies beside the network that it was made of."""
    if scheme is None:
        raise UserError(f"{source} belongs to no package: give a name that ends in .onnx for what is written")
    if source.parent.resolve() != model.resolve():
        raise UserError(f"{model} is not the package of {source}: give {source.parent}, or a name that ends in .onnx")


def samples_of(source, scheme, member, args):
    """The Samples for a network of a scheme, or for any graph."""
    if scheme is None:
        return arrays(source, args.calibrate)
    if scheme.domain == "image":
        return photographs(source, scheme, args.calibrate, args.samples)
    if args.calibrate:
        raise UserError(f"--calibrate {args.calibrate}: {scheme.name} draws its own data; leave it out")
    return channels(scheme, member, args.samples)


# ---- data ----


def photographs(source, scheme, folder, count):
    """Photographs as the scheme observes them: half calibrate, half measure."""
    from ..base import picture_bands
    from ..models import photo_data
    from ..reference import photo

    if not folder:
        raise UserError(f"--calibrate is missing: {scheme.name} needs a folder of photographs")
    pictures = photo_data.load(folder)
    count = min(count or 24, len(pictures))
    if count < 2:
        raise UserError(f"--calibrate {folder}, --samples {count}: give at least 2 photographs")
    chosen = pictures[:: len(pictures) // count][:count]
    plan = scheme.plan

    def observed(which, seed):
        return [next(iter(scheme.observations(np.random.default_rng([seed, i]), p))) for i, p in enumerate(which)]

    def posterior(net, z, v, spectrum):
        return photo.posterior(net, z, v, spectrum, plan["steps"], plan["inflation"], plan["final"])

    feeds, first = [], session(source)

    def net_of(run):
        def net(image, level):
            h, w, _ = image.shape
            feed = {"x": picture_bands.padded(image), "level": level[None].astype(np.float32)}
            feeds.append(feed)
            mean, log_variance = run(["mean", "log_variance"], feed)
            return mean[0, :, :h, :w].transpose(1, 2, 0), log_variance[0]

        net.bands, net.window = photo.told(first)
        return net

    fp32 = net_of(first.run)
    for _, *known in observed(chosen[::2], 1):
        posterior(fp32, *known)
    calibration = list(feeds)
    held = observed(chosen[1::2], 2)

    def measure(run):
        net = net_of(run)
        return {"photographs": [float(np.mean((posterior(net, *known) - truth) ** 2)) for truth, *known in held]}

    name = Path(folder).name
    return Samples(
        calibration,
        measure,
        calibration[0],
        f"{len(chosen[::2])} photographs of {name}, seed 1",
        f"{len(held)} other photographs of {name}, seed 2",
    )


def channels(scheme, member, count):
    """Batches as the scheme draws them in training calibrate, its validation sets measure."""
    count = count or 1024
    if member not in scheme.networks():
        raise unknown("network", member, scheme.networks())
    network = scheme.networks()[member]
    share, one_level = network.prior_share, getattr(network.build(), "one_level", False)
    rng = np.random.default_rng(1)
    batches = max(1, count // CALIBRATION_BATCH)
    drawn = (scheme.batch(rng, CALIBRATION_BATCH, share) for _ in range(batches))
    calibration = [channel_feed(batch, one_level) for batch in drawn]
    sets = {f"{name}, {db:g} dB": at(float(db)) for name, at in scheme.validation().items() for db in scheme.snr_db}

    def measure(run):
        found = {}
        for name, batch in sets.items():
            mean = run(["mean"], channel_feed(batch, one_level))[0]
            if np.iscomplexobj(batch.clean):
                mean = (mean[:, 0] + 1j * mean[:, 1]) / np.sqrt(2)
            axes = tuple(range(1, mean.ndim))
            error = np.sum(np.abs(mean - batch.clean) ** 2 * batch.observed, axes)
            found[name] = [float(np.mean(error / np.sum(np.abs(batch.clean) ** 2 * batch.observed, axes)))]
        return found

    one = {name: array[:1] for name, array in calibration[0].items()}
    drawn = f"{batches * CALIBRATION_BATCH} signals as in training, seed 1"
    return Samples(calibration, measure, one, drawn, "the validation sets of training")


def channel_feed(batch, one_level=False):
    """A measure.Batch as the networks of export.write take it; one_level: told one level for each item."""
    x, sigma = batch.state, batch.sigma.astype(np.float32)
    if np.iscomplexobj(x):
        x = np.stack((x.real, x.imag), 1).astype(np.float32) * np.float32(np.sqrt(2))
        sigma = sigma[:, None]
    sigma = sigma.reshape(len(sigma), -1)[:, 0] if one_level else sigma
    return {"x": x, "sigma": np.ascontiguousarray(sigma), **getattr(batch, "condition", {})}


def arrays(source, data):
    """Arrays of a graph's inputs, items along the first axis: x.npy, or a folder with INPUT.npy for each."""
    inputs = session(source).get_inputs()
    names = [i.name for i in inputs]
    if not data:
        raise UserError(f"--calibrate is missing: give a .npy for {names[0]}, or a folder with one for each input")
    path = Path(data)
    files = {names[0]: path} if path.is_file() else {name: path / f"{name}.npy" for name in names}
    if len(names) > len(files):
        raise UserError(f"--calibrate {data}: the graph has the inputs {', '.join(names)}; give a folder of .npy")
    loaded = {}
    for name, file in files.items():
        try:
            loaded[name] = np.load(file, allow_pickle=False)
        except (OSError, ValueError) as error:
            raise UserError(f"--calibrate {data}: {file} cannot be read ({error})") from None
    count = min(len(a) if a.ndim else 0 for a in loaded.values())
    if count < 2:
        raise UserError(f"--calibrate {data}: give arrays of at least 2 items")
    feeds = [{name: a[i : i + 1] for name, a in loaded.items()} for i in range(count)]
    for entry in inputs:
        wanted = [d if isinstance(d, int) else None for d in entry.shape]
        shape = feeds[0][entry.name].shape
        if len(shape) != len(wanted) or any(w not in (None, s) for w, s in zip(wanted, shape, strict=True)):
            raise UserError(f"--calibrate {data}: items of {entry.name} are {shape}, but the graph takes {entry.shape}")
    half = f"every second of {count} items of {path.name}"
    return Samples(feeds[::2], None, feeds[0], half, "the others", feeds[1::2])


# ---- the network ----


def session(path):
    """An onnxruntime session on one core."""
    os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


def quantise(source, feeds, path):
    """Write the int8 graph of `source`, its ranges those of `feeds`.

    Convolutions are quantised, and matrix products where there are none: beside convolutions they are small, and
    say how these are to be steered."""
    os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
    import onnx
    from onnxruntime import quantization as q
    from onnxruntime.quantization.shape_inference import quant_pre_process

    model = onnx.load(str(source))
    version = next((o.version for o in model.opset_import if o.domain in ("", "ai.onnx")), 0)
    if version < 13:
        raise UserError(f"{source} is of opset {version}: scales for each channel need 13; export it again")
    kinds = {node.op_type for node in model.graph.node}
    if "QuantizeLinear" in kinds:
        raise UserError(f"{source} is quantised already: give the network it was made of")
    operators = sorted(kinds & {"Conv", "ConvTranspose"}) or sorted(kinds & {"Gemm", "MatMul"})
    if not operators:
        raise UserError(f"{source} has neither convolutions nor matrix products: there is nothing to quantise")

    class Reader(q.CalibrationDataReader):
        def __init__(self):
            self.feeds = iter(feeds)

        def get_next(self):
            return next(self.feeds, None)

    with TemporaryDirectory() as folder:
        plain = Path(folder) / "plain.onnx"
        quant_pre_process(str(source), str(plain), skip_symbolic_shape=True)
        q.quantize_static(
            str(plain),
            str(path),
            Reader(),
            quant_format=q.QuantFormat.QDQ,
            activation_type=q.QuantType.QUInt8,
            weight_type=q.QuantType.QInt8,
            per_channel=True,
            reduce_range=True,
            op_types_to_quantize=operators,
        )


def compare(source, small, samples):
    """The part of the report that says what the int8 network costs and gains."""
    old, new = session(source), session(small)
    report = {"fp32": str(source), "fp32_bytes": source.stat().st_size, "bytes": small.stat().st_size}
    report |= {"calibrated_on": samples.calibrated_on, "measured_on": samples.measured_on}
    if samples.measure:
        a, b = samples.measure(old.run), samples.measure(new.run)
        loss = {name: 10 * np.log10(np.array(b[name]) / np.array(a[name])) for name in a}
        report["loss_db"] = {name: float(np.mean(each)) for name, each in loss.items()}
        report["worst_loss_db"] = max(report["loss_db"].values())
        if any(len(each) > 1 for each in loss.values()):
            report["worst_sample_db"] = float(max(each.max() for each in loss.values()))
    else:
        names = [output.name for output in old.get_outputs()]
        pairs = [(old.run(names, feed), new.run(names, feed)) for feed in samples.held_out]
        report["difference_db"] = {name: difference(pairs, i) for i, name in enumerate(names)}
    report["time_ratio"] = time_ratio(old, new, samples.one)
    return report


def difference(pairs, index):
    """Power of the difference between two networks' answers over the answer's, dB."""
    old, new = (np.concatenate([np.ravel(pair[k][index]) for pair in pairs]).astype(float) for k in (0, 1))
    power = np.mean(old**2)
    return float(10 * np.log10(max(np.mean((new - old) ** 2), 1e-30) / power)) if power else 0.0


def time_ratio(old, new, feed):
    """Median time of `new` over that of `old`, run in turns."""
    took = ([], [])
    end = time.perf_counter() + TIMED_SECONDS
    while len(took[0]) < 5 or (time.perf_counter() < end and len(took[0]) < 2000):
        for times, net in zip(took, (old, new), strict=True):
            begun = time.perf_counter()
            net.run(None, feed)
            times.append(time.perf_counter() - begun)
    return float(np.median(took[1]) / np.median(took[0]))


def label(source, small, report):
    """Give the int8 graph the metadata of its source, and say what it is."""
    import onnx

    model, original = onnx.load(str(small)), onnx.load(str(source), load_external_data=False)
    facts = {k: report[k] for k in ("calibrated_on", "measured_on", "worst_loss_db", "difference_db") if k in report}
    values = {entry.key: entry.value for entry in original.metadata_props}
    values["diffsem.quantised"] = json.dumps({"type": "int8", "of": model_packages.file_sha256(source), **facts})
    if "diffsem.title" in values:
        values["diffsem.title"] += ", int8"
    del model.metadata_props[:]
    for key, value in values.items():
        model.metadata_props.add(key=key, value=value)
    used = {node.domain for node in model.graph.node} | {""}
    kept = [o for o in model.opset_import if o.domain in used]
    del model.opset_import[:]
    model.opset_import.extend(kept)
    model.producer_name = "gr-diffsem"
    onnx.checker.check_model(model, full_check=True)
    small.write_bytes(model.SerializeToString(deterministic=True))
    report["bytes"] = small.stat().st_size


def keep(small, source, scheme, member, model, report):
    """Put the int8 graph where it was asked for; into a package only if it is good and quick enough."""
    target = model if model.suffix else model / f"{package_writer.int8_name(scheme, member)}.onnx"
    report = {"model": str(target), **report}
    if not model.suffix:
        report["passes"] = report["worst_loss_db"] < LARGEST_LOSS and report["time_ratio"] < LARGEST_TIME
    report["written"] = report.get("passes", True)
    if report["written"]:
        target.parent.mkdir(parents=True, exist_ok=True)
        partial = target.with_suffix(".tmp.onnx")
        partial.write_bytes(small.read_bytes())
        partial.replace(target)
        if not model.suffix:
            report["content_hash"] = package_writer.write(scheme, model)
    return report


def table(report):
    """What `run` returned, for people."""
    lines = [
        f"{report['model']}: {report['bytes']:,} bytes of {report['fp32_bytes']:,}, "
        f"{report['time_ratio']:.2f} of the time on one core",
        f"calibrated on {report['calibrated_on']}; measured on {report['measured_on']}",
    ]
    if "loss_db" in report:
        width = max(map(len, report["loss_db"]))
        lines += [f"  {name:<{width}}  {value:+.3f} dB" for name, value in report["loss_db"].items()]
    if "worst_sample_db" in report:
        lines.append(f"  the worst of them {report['worst_sample_db']:+.3f} dB")
    lines += [f"  {name}: differs by {value:.1f} dB" for name, value in report.get("difference_db", {}).items()]
    if not report["written"]:
        lines.append(
            f"not written: a package takes what loses less than {LARGEST_LOSS} dB (here {report['worst_loss_db']:.2f}) "
            f"in less than {LARGEST_TIME} of the time; a name that ends in .onnx takes anything"
        )
    elif "content_hash" in report:
        lines.append(f"{Path(report['model']).parent}: content hash {report['content_hash']}")
    return "\n".join(lines)
