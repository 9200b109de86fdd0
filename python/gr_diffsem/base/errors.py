# SPDX-License-Identifier: GPL-3.0-or-later
"""What a user did wrong, said in one sentence that names the remedy."""

import difflib


class UserError(Exception):
    """A wrong argument, file or environment. The command line prints it without a traceback; `code` is how it exits."""

    code = 2


class Failed(UserError):
    """The words were right, and yet it could not be done: nothing came, or nothing can be written."""

    code = 1


def nearest(name, known):
    """The known name most like `name`, or None when nothing is near."""
    matches = difflib.get_close_matches(str(name).lower(), list(known), n=1, cutoff=0.5)
    return matches[0] if matches else None


def unknown(what, name, known):
    """A UserError for a name that is not in `known`: the nearest one, or all of them."""
    known = sorted(known)
    guess = nearest(name, known)
    if guess:
        hint = f"did you mean '{guess}'?"
    elif known:
        hint = "choose one of " + ", ".join(known)
    else:
        hint = "there are none here"
    return UserError(f"unknown {what} '{name}': {hint}")
