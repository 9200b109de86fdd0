# SPDX-License-Identifier: GPL-3.0-or-later
"""`gr-diffsem export CHECKPOINT MODEL`: a trained network as a self-describing .onnx, or in a package; or SCHEME in the
place of CHECKPOINT, where that has closed forms alone.

MODEL ending in .onnx is written as one file. Any other MODEL is a package folder: the network becomes
its member of that name, classical members are fitted where their tensors are missing, and manifest
and card are written anew. The scheme is found again where it was trained from: that file is run, so
export checkpoints whose origin you know. With --int8 the network, or one that was exported before, is
quantised (quantize.py).
"""

from pathlib import Path

from .. import schemes
from ..base.errors import UserError, unknown
from ..base.number_options import whole
from ..models import graph_export, provenance
from ..models.training import load_checkpoint
from . import info, onnx_cost, package_writer


def add_arguments(parser):
    """Arguments of `gr-diffsem export`."""
    parser.add_argument(
        "checkpoint",
        help="checkpoint.pt that `gr-diffsem train` wrote; or a scheme (name or .py file) of closed forms alone; "
        "with --int8 also PACKAGE[/MEMBER] or an .onnx",
    )
    parser.add_argument("model", help="what to write: NAME.onnx, or a package folder such as models/NAME")
    parser.add_argument(
        "--scheme", metavar="SCHEME", help="name or .py file, where the scheme is not where it was trained from"
    )
    parser.add_argument("--refit", action="store_true", help="fit the classical members again")
    parser.add_argument("--int8", action="store_true", help="quantise, and say what it costs against fp32")
    parser.add_argument(
        "--calibrate", metavar="DATA", help="for --int8: a folder of photographs, or x.npy or a folder of INPUT.npy"
    )
    whole(parser, "--samples", least=1, metavar="N", help="for --int8: photographs (24) or signals (1024)")


def run(args):
    """Export; returns what was written."""
    if args.int8:
        from . import quantize

        return quantize.run(args, export)
    for option in ("calibrate", "samples"):
        if getattr(args, option) is not None:
            raise UserError(f"--{option} is for --int8: add that, or leave it out")
    if not Path(args.checkpoint).is_file() or args.checkpoint.endswith(".py"):
        found = [s for s in _schemes_of(args.checkpoint) if not s.networks()]
        if found:
            return closed_forms(found, args.model, args.refit)
    return export(args.checkpoint, args.model, args.refit, args.scheme)


def _schemes_of(what):
    """The schemes that a word stands for; none where it stands for none."""
    known = what.endswith(".py") or what in schemes.names()
    return schemes.find(what) if known else []


def closed_forms(found, model, refit=False):
    """Write the package of a scheme without networks: its tensors, manifest and card; the report."""
    if len(found) > 1:
        raise UserError(f"this file has several schemes: name one of {', '.join(s.name for s in found)}")
    if Path(model).suffix:
        raise UserError(f"cannot write '{model}': closed forms are a package, give a folder")
    fitted = package_writer.fit_missing(found[0], model, refit)
    return {"package": str(model), "fitted": fitted, "content_hash": package_writer.write(found[0], model)}


def export(checkpoint, model, refit=False, where=None):
    """Write a checkpoint's network, and the package around it where `model` is a folder; the report.

    where: name or file of its scheme; None: where the checkpoint says that it was trained from."""
    state = load_checkpoint(checkpoint)
    scheme = schemes.trained(state["scheme"], state.get("source"), where)
    if state["member"] not in scheme.networks():
        raise unknown(f"network of {scheme.name}", state["member"], scheme.networks())
    network = scheme.networks()[state["member"]]
    model = Path(model)
    if model.suffix == ".onnx":
        path = model
    elif model.suffix:
        raise UserError(f"cannot write '{model}': give a name that ends in .onnx, or a folder")
    else:
        path = model / f"{state['member']}.onnx"
    path.parent.mkdir(parents=True, exist_ok=True)
    net = network.build()
    net.load_state_dict(state["average"])
    error = scheme.write_network(net, path, network, trained_on(scheme, state))
    cost = counted(path, net)
    report = {
        "model": str(path),
        "multiply_adds": cost["macs"],
        "cost": onnx_cost.text(cost, scheme.domain == "image"),
        "bytes": path.stat().st_size,
        "largest_difference": error,
        "warning": power_warning(scheme),
        "scheme_changed": provenance.changed(scheme, state.get("scheme_file")),
    }
    if path is not model:
        graphs = graph_export.write_missing(scheme, model, refit)
        tensors = package_writer.fit_missing(scheme, model, refit)
        report["package"] = str(model)
        report["fitted"] = [*graphs, *tensors]
        report["content_hash"] = package_writer.write(scheme, model)
    return report


def power_warning(scheme):
    """What is wrong with the power of what the network learned; "" where nothing is, or no data are here."""
    try:
        return scheme.power_warning()
    except UserError:
        return ""


def counted(path, net):
    """The cost of a graph, as `info` will find it. A graph that cannot be counted is told what its network says."""
    cost = info.file_cost(path)
    said = getattr(net, "multiply_adds", None)
    if cost["macs"] is None and said:
        import onnx

        model = onnx.load(str(path))
        model.metadata_props.add(key="diffsem.macs", value=str(said()))
        path.write_bytes(model.SerializeToString(deterministic=True))
        cost = info.file_cost(path)
    return cost


def table(report):
    """What `run` returned, for people."""
    if "time_ratio" in report:
        from . import quantize

        return quantize.table(report)
    if "model" not in report:
        return f"{report['package']}: content hash {report['content_hash']}"
    lines = [
        f"{report['model']}: {report['bytes']} bytes, {report['cost']}, "
        f"differs from torch by {report['largest_difference']:.1e} at most"
    ]
    if report.get("warning"):
        lines.append(report["warning"])
    if report["scheme_changed"]:
        lines.append("the scheme's file has changed since the training; the model names the one that it was trained by")
    if "package" in report:
        lines.append(f"{report['package']}: content hash {report['content_hash']}")
    return "\n".join(lines)


TOLD = "version", "scheme_file", "start", "behind", "device", "command"  # what a card says where a checkpoint has it


def trained_on(scheme, state):
    """The card's facts about a training."""
    return {
        "data": "; then ".join(filter(None, (scheme.data, state.get("adapted_to")))),
        "seed": state.get("seed"),
        "commit": state.get("commit"),
        "minutes": round(state.get("elapsed", 0) / 60, 1),
        "steps": state.get("step"),
        "batch": state.get("batch"),
        **{name: state[name] for name in TOLD if state.get(name)},
    }
