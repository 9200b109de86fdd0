# SPDX-License-Identifier: GPL-3.0-or-later
"""`gr-diffsem train SCHEME`: trains a scheme's networks on data drawn as it goes (models/training.py).

SCHEME is a name, or the path of a scheme's .py file; $DIFFSEM_SCHEMES names folders of more.
"""

from pathlib import Path

from .. import schemes
from ..base import model_packages
from ..base.errors import UserError, unknown
from ..base.number_options import real, whole
from ..base.places import checkout
from ..eval import recording_looks


def add_arguments(parser):
    """Arguments of `gr-diffsem train`."""
    parser.add_argument("scheme", help="a .py file, or one of: " + ", ".join(schemes.names()))
    parser.add_argument("--member", help="one network of the scheme (default: all of them)")
    text = "time for each network (default: the scheme's)"
    real(parser, "--minutes", "minutes", above=0, most=1e6, help=text)
    parser.add_argument(
        "--device", choices=("auto", "cpu", "cuda"), default="auto", help="auto: a GPU if PyTorch sees one"
    )
    whole(parser, "--threads", least=1, most=1024, default=1, help="threads of PyTorch; one more draws data")
    text = "processes that draw data in place of that thread; a GPU wants many"
    whole(parser, "--workers", most=1024, default=0, help=text)
    whole(parser, "--seed", default=1, help="seed of weights and data")
    parser.add_argument(
        "--out",
        help="folder for checkpoints and logs (default: build/train/SCHEME of the checkout, train/SCHEME for your own)",
    )
    parser.add_argument("--resume", action="store_true", help="go on from the checkpoint in --out")
    whole(parser, "--batch", "items", least=1, help="items a step (default: the scheme's)")
    real(parser, "--rate", above=0, most=1e3, help="learning rate at the beginning (default: the scheme's)")
    parser.add_argument("--images", help="folder of photographs, for schemes that learn from them")
    parser.add_argument("--validate", help="folder of other photographs, to report on")
    parser.add_argument("--start", help="checkpoint.pt or exported .onnx of an equal network to begin from")
    text = "adapt to the channels of these: recordings of Wi-Fi or LTE, or .npz of looks (docs/ofdm_grid.md); without "
    text += "--start the scheme's own package is what it begins from"
    parser.add_argument("--from", dest="recordings", nargs="+", metavar="RECORDING", help=text)


def run(args):
    """Train; returns {"scheme", "networks": [...]}. A name of several sizes trains one after the other."""
    found = schemes.find(args.scheme)
    reports = []
    for scheme in found:
        out = Path(args.out) if args.out else default_folder(scheme)
        reports += run_one(scheme, args, out / scheme.name if args.out and len(found) > 1 else out)
    return {"scheme": args.scheme, "networks": reports}


def run_one(scheme, args, out):
    """Train the networks of one scheme, or the one that was asked for; their reports."""
    networks = scheme.networks()
    if not networks:
        raise UserError(f"scheme '{scheme.name}' has no networks to train: give it some in networks()")
    if args.member and args.member not in networks:
        raise unknown("network of " + scheme.name, args.member, networks)
    chosen = {m: n for m, n in networks.items() if args.member in (None, m)}
    if not args.recordings:
        training = scheme.training()
        return [training(scheme, member, network, args, out / member).run() for member, network in chosen.items()]
    return adapt(scheme, chosen, args, out)


def adapt(scheme, networks, args, out):
    """The same with --from: their reports."""
    training = scheme.adapting()
    if training is None:
        able = ", ".join(name for name in schemes.names() if schemes.get(name).adapting())
        raise UserError(f"--from: scheme '{scheme.name}' does not learn from recordings; {able} does")
    args.looks = recording_looks.read(args.recordings)
    reports, start = [], args.start
    for member, network in networks.items():
        args.start = start or shipped(scheme.name, member)
        reports.append(training(scheme, member, network, args, out / member).run())
    return reports


def shipped(name, member):
    """The .onnx of a member in the scheme's own package."""
    path = model_packages.locate(name, checkout_first=True)[0] / f"{member}.onnx"
    if not path.is_file():
        raise UserError(f"--from begins from {path}, which is not there; give --start")
    return str(path)


def table(report):
    """What `run` returned, for people."""
    lines = []
    for r in report["networks"]:
        how = f"{r['steps']} steps, {r['minutes']:.1f} minutes, {r['device']}"
        lines.append(f"{r['member']}: {how} -> {r['checkpoint']}")
        if "kept_back_db" in r:
            before, after = r["kept_back_db"]["before"], r["kept_back_db"]["after"]
            advice = ": keep the old network" if after >= before else ""
            lines.append(f"error at looks kept back: {after:.2f} dB, before {before:.2f}{advice}")
    return "\n".join([*lines, f"next: gr-diffsem export {report['networks'][0]['checkpoint']} models/NAME"])


def default_folder(scheme):
    """build/train/NAME of the checkout; ./train/NAME where there is none, and for a scheme of the user's own."""
    root = None if scheme.source else checkout()
    return (root / "build" / "train" if root else Path("train")) / scheme.name
