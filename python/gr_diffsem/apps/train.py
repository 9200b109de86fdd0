# SPDX-License-Identifier: GPL-3.0-or-later
"""`gr-diffsem train SCHEME`: trains a scheme's networks on data drawn as it goes (models/training.py)."""

from pathlib import Path

from .. import schemes
from ..base.errors import UserError, unknown
from ..base.places import checkout


def add_arguments(parser):
    """Arguments of `gr-diffsem train`."""
    parser.add_argument("scheme", help="name of a scheme: " + ", ".join(schemes.names()))
    parser.add_argument("--member", help="one network of the scheme (default: all of them)")
    parser.add_argument("--minutes", type=float, help="time for each network (default: the scheme's)")
    parser.add_argument(
        "--device", choices=("auto", "cpu", "cuda"), default="auto", help="auto: a GPU if PyTorch sees one"
    )
    parser.add_argument("--threads", type=int, default=1, help="threads of PyTorch; one more draws data")
    parser.add_argument(
        "--workers", type=int, default=0, help="processes that draw data in place of that thread; a GPU wants many"
    )
    parser.add_argument("--seed", type=int, default=1, help="seed of weights and data")
    parser.add_argument("--out", help="folder for checkpoints and logs (default: build/train/SCHEME)")
    parser.add_argument("--resume", action="store_true", help="go on from the checkpoint in --out")
    parser.add_argument("--batch", type=int, help="items a step (default: the scheme's)")
    parser.add_argument("--rate", type=float, help="learning rate at the beginning (default: the scheme's)")
    parser.add_argument("--images", help="folder of photographs, for schemes that learn from them")
    parser.add_argument("--validate", help="folder of other photographs, to report on")
    parser.add_argument("--start", help="checkpoint whose weights to begin from, of an equal network")


def run(args):
    """Train; returns {"scheme", "networks": [...]}. A name of several sizes trains one after the other."""
    sizes = [args.scheme] if args.scheme in schemes.names() else schemes.sizes(args.scheme)
    reports = []
    for name in sizes:
        scheme = schemes.get(name)
        out = Path(args.out) if args.out else default_folder(name)
        reports += run_one(scheme, args, out / name if args.out and len(sizes) > 1 else out)
    return {"scheme": args.scheme, "networks": reports}


def run_one(scheme, args, out):
    """Train the networks of one scheme, or the one that was asked for; their reports."""
    networks = scheme.networks()
    if args.member and args.member not in networks:
        raise unknown("network of " + scheme.name, args.member, networks)
    for name in ("minutes", "batch", "rate", "threads"):
        value = getattr(args, name)
        if value is not None and value <= 0:
            raise UserError(f"--{name} is {value}: give a positive number")
    if args.workers < 0:
        raise UserError(f"--workers is {args.workers}: give 0, which draws in a thread, or how many processes")
    chosen = {m: n for m, n in networks.items() if args.member in (None, m)}
    training = scheme.training()
    return [training(scheme, member, network, args, out / member).run() for member, network in chosen.items()]


def table(report):
    """What `run` returned, for people."""
    lines = []
    for r in report["networks"]:
        how = f"{r['steps']} steps, {r['minutes']:.1f} minutes, {r['device']}"
        lines.append(f"{r['member']}: {how} -> {r['checkpoint']}")
    return "\n".join([*lines, f"next: gr-diffsem export {report['networks'][0]['checkpoint']} models/NAME"])


def default_folder(name):
    """build/train/NAME of the checkout, else ./train/NAME."""
    root = checkout()
    return (root / "build" / "train" if root else Path("train")) / name
