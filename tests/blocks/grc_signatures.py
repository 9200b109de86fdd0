# SPDX-License-Identifier: GPL-3.0-or-later
"""What a block's GRC file says of its constructor, compared with the constructor."""

import ast
import inspect
import re

#: Parameters of a constructor that the companion does not offer, and why.
NOT_OFFERED = {
    ("image_sink", "written"): "a Python function",
    ("image_sink", "failed"): "a Python function",
    ("video_sink", "written"): "a Python function",
    ("video_sink", "failed"): "a Python function",
}
#: Where the companion's name is another.
RENAMED = {
    ("ofdm_chanest_vcvc", "force_one_sync_symbol"): "force_one_symbol",  # as gr-digital's file says
    ("estimate", "item_size"): "vlen",
    ("estimate_joint", "item_size"): "vlen",
    # as gr-dtv's file says
    ("dvbt_demod_reference_signals", "itemsize"): "type",
    ("dvbt_demod_reference_signals", "ninput"): "transmission_mode",
    ("dvbt_demod_reference_signals", "noutput"): "transmission_mode",
    ("dvbt_demod_reference_signals", "code_rate_HP"): "code_rate_hp",
    ("dvbt_demod_reference_signals", "code_rate_LP"): "code_rate_lp",
    ("dvbt_soft_decoder", "nsize"): "transmission_mode",
}
#: What the companion needs to draw a block, and the constructor does not.
DRAWN = {
    ("estimate", "in_vlen"),
    ("frame_sync_cvc", "fft_len"),  # `format` holds it
    ("frame_to_pdu", "fft_len"),
    ("image_view", "panels"),
    ("onnx_inference", "header"),
    ("image_view", "gui_hint"),
}
#: Where another default is meant.
OTHER_DEFAULT = {
    ("estimate", "item_size"): "ports are drawn before a scheme is read",
    ("estimate", "domain"): "ports are drawn before a scheme is read",
    ("estimate_joint", "item_size"): "ports are drawn before a scheme is read",
    ("estimate_joint", "output_sizes"): "ports are drawn before a scheme is read",
    ("soft_demapper_cf", "fft_len"): "not used until occupied_carriers are given, and then most often this",
    # as gr-digital's blocks: variables of the flowgraph
    **dict.fromkeys(
        (("ofdm_equalizer_diffsem", p) for p in ("occupied_carriers", "pilot_carriers", "pilot_symbols")), "variables"
    ),
}


class Signature:
    """Names of a constructor's parameters in order, and their defaults; those without are missing in `defaults`."""

    def __init__(self, block):
        if inspect.isfunction(block.__init__):
            parameters = list(inspect.signature(block.__init__).parameters.values())[1:]
            self.names = [p.name for p in parameters]
            self.defaults = {p.name: p.default for p in parameters if p.default is not p.empty}
            return
        # pybind11 writes the signature into the first line of the docstring that has one.
        line = re.search(r"__init__(\(self: .*)", block.__init__.__doc__)[1]
        said = ast.parse(f"def made{line}: pass").body[0].args
        self.names = [a.arg for a in said.args][1:]
        values = [ast.literal_eval(d) for d in said.defaults]
        self.defaults = dict(zip(self.names[len(self.names) - len(values) :], values, strict=True))


def call_in(code):
    """(name, positional, keywords) of the call diffsem.name(...) in Python code; the arguments as syntax trees."""
    for node in ast.walk(ast.parse(code)):
        if isinstance(node, ast.Call) and ast.unparse(node.func) == f"diffsem.{getattr(node.func, 'attr', '')}":
            return node.func.attr, node.args, {k.arg: k.value for k in node.keywords}
    raise AssertionError(f"no block is made in {code}")


def template_of(said):
    """The code that makes the block, and the expressions ${...} in it, each replaced by a name x<number>."""
    templates = said["templates"]
    code = re.sub(r"<%.*?%>\\?\n", "", templates.get("make") or templates["var_make"], flags=re.S)
    code = "\n".join(line for line in code.splitlines() if not line.startswith("${"))
    expressions = []

    def name(found):
        expressions.append(found[1])
        return f"x{len(expressions) - 1}"

    return re.sub(r"\$\{([^}]*)\}", name, code), expressions


def names_in(code):
    """All names that Python code uses."""
    return {node.id for node in ast.walk(ast.parse(code)) if isinstance(node, ast.Name)}


def value_of(code):
    """What code stands for; with names in it, the code."""
    return code if names_in(code) - {"float"} else eval(code)


def same(a, b):
    """Are two defaults the same? Floats of a C++ block are single precision; a tuple is as good as a list."""
    if isinstance(a, (list, tuple)) and isinstance(b, (list, tuple)):
        return len(a) == len(b) and all(same(x, y) for x, y in zip(a, b, strict=True))
    if isinstance(a, (int, float)) and isinstance(b, (int, float)):
        return a == b or abs(a - b) <= 1e-7 * abs(b)
    return a == b


def complaints(said, rendered, blocks):
    """What is wrong with a GRC file, in sentences.

    said: its content. rendered: the code that the companion makes of a block whose parameters have their defaults.
    blocks: the module that holds the block.
    """
    code, expressions = template_of(said)
    name, positional, keywords = call_in(code)
    signature = Signature(getattr(blocks, name))
    offered = {p["id"] for p in said["parameters"]}
    wrong = []

    # Each argument, and the companion's parameters that it is made of.
    arguments = dict(zip(signature.names, positional, strict=False)) | keywords
    if len(positional) > len(signature.names):
        wrong.append(f"{name} takes {len(signature.names)} arguments, {len(positional)} are given")
    used = set()
    for argument, tree in arguments.items():
        of = set().union(*(names_in(expressions[int(x[1:])]) for x in names_in(ast.unparse(tree))))
        if argument not in signature.names:
            wrong.append(f"{name} has no parameter {argument}")
        if RENAMED.get((name, argument), argument) not in of:
            wrong.append(f"{argument} of {name} is given {sorted(of)}")
        for one in of - {"repr", "str"} - offered:
            wrong.append(f"{argument} of {name} is made of {one}, which is no parameter of the file")
        used |= of
    for missing in signature.names:
        if missing not in arguments and (name, missing) not in NOT_OFFERED:
            wrong.append(f"{missing} of {name} is not offered")
    for extra in offered - used:
        if (name, extra) not in DRAWN:
            wrong.append(f"{extra} is no parameter of {name}")

    # A variable is made twice: for the flowgraph, and while it is edited.
    edited = re.findall(r"diffsem\.\w+\(.*?\)", said.get("value", ""))
    if edited and edited != re.findall(
        r"diffsem\.\w+\(.*?\)", re.sub(r"\$\{(\w+)\}", r"\1", said["templates"]["var_make"])
    ):
        wrong.append(f"{name} has other arguments as a value")
    _, positional, keywords = call_in(rendered)
    for argument, tree in (dict(zip(signature.names, positional, strict=False)) | keywords).items():
        if argument not in signature.defaults or OTHER_DEFAULT.get((name, argument)) == "variables":
            continue
        default, here = signature.defaults[argument], value_of(ast.unparse(tree))
        if (name, argument) in OTHER_DEFAULT:
            if same(here, default) or f"in Python {argument}" not in " ".join(said["documentation"].split()):
                wrong.append(f"{argument} of {name} has another default in Python: its documentation is to say so")
        elif not same(here, default):
            wrong.append(f"{argument} of {name} is {default!r}, in the file {here!r}")
    return wrong + complaints_of_callbacks(said, getattr(blocks, name), signature)


def complaints_of_callbacks(said, block, signature):
    """Setters that the file calls and the block lacks, and the other way round."""
    wrong, called = [], set()
    for callback in said["templates"].get("callbacks", []):
        setter, value = re.fullmatch(r"(?:self\.\$\{id\}\.)?(\w+)\((.*)\)", callback).groups()
        called.add(setter)
        if not callable(getattr(block, setter, None)):
            wrong.append(f"{block.__name__} has no {setter}")
        of = set().union(*(names_in(x) for x in re.findall(r"\$\{([^}]*)\}", value)))
        if setter.removeprefix("set_") not in of:
            wrong.append(f"{setter} of {block.__name__} is given {sorted(of)}")
    for parameter in signature.names:
        setter = f"set_{parameter}"
        if hasattr(block, setter) and setter not in called:
            wrong.append(f"{setter} of {block.__name__} is not called when the parameter changes")
    return wrong
