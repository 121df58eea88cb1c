"""Picks the one metric of a run that a table shows. Pure."""

from collections.abc import Sequence

_CHOSEN = ("val_", "test_", "eval_")
_AUTOLOGGED = ("training_", "system/")


def headline(names: Sequence[str]) -> str | None:
    """Pick a metric out of `names`, which are in the order of first logging.

    One that says it was measured on held-out data, else one that code logged by itself, else
    the first that is there.
    """
    own = [name for name in names if not name.startswith(_AUTOLOGGED)]
    held_out = [name for name in own if name.startswith(_CHOSEN)]
    rest = [name for name in names if not name.startswith("system/")]
    return next(iter([*held_out, *own, *rest]), None)
