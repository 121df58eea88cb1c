"""Who may change what of a Model whose stages need approval: rows for the API server."""

from dataclasses import dataclass

from builders import given

STAGES = [given.stage("staging", "automatic"), given.stage("production", "approval")]


@dataclass(frozen=True)
class Write:
    """A change of the spec of a Model whose production is version 1, and who makes it."""

    id: str
    user: str
    change: given.Object
    code: int = 422
    says: str = ""


ALLOWED = [
    Write("a scientist moves a free alias", "ann", {"aliases": {"champion": 2}}),
    Write("a scientist renames it in MLflow", "ann", {"name": "Digits of Hand"}),
    Write("a scientist moves an automatic stage", "ann", {"aliases": {"staging": 2}}),
    Write("a scientist describes", "ann", {"description": "x", "tags": {"a": "b"}}),
    Write(
        "an approver promotes in his name",
        "bob",
        {"aliases": {"production": 2}, "promoters": {"production": "bob"}},
    ),
    Write(
        "an approver empties a stage in his name",
        "bob",
        {"aliases": {"production": None}, "promoters": {"production": "bob"}},
    ),
    Write("an approver forces", "bob", {"force": 2}),
    Write("an approver changes the gates", "bob", {"stages": [STAGES[1]]}),
]
REFUSED = [
    Write(
        "a scientist does not promote",
        "ann",
        {"aliases": {"production": 2}, "promoters": {"production": "ann"}},
        403,
        "ann may not promote digits: spec.aliases.production is a stage that needs approval",
    ),
    Write(
        "a scientist does not empty a stage",
        "ann",
        {"aliases": {"production": None}},
        403,
        "ann may not promote digits",
    ),
    Write(
        "a scientist does not lower the gates",
        "ann",
        {"stages": [STAGES[0]]},
        403,
        "ann may not change spec.stages of digits, of which production needs approval",
    ),
    Write("a scientist does not force", "ann", {"force": 2}, 403, "may not set spec.force"),
    Write(
        "an approver does not promote in silence",
        "bob",
        {"aliases": {"production": 2}},
        says="set it to 'bob' in the same write",
    ),
    Write(
        "an approver does not promote in another's name",
        "bob",
        {"aliases": {"production": 2}, "promoters": {"production": "eve"}},
        says="set it to 'bob' in the same write",
    ),
    Write(
        "nobody takes another's name",
        "ann",
        {"promoters": {"production": "bob"}},
        says="spec.promoters may only be set to your own name: 'ann', not 'bob'",
    ),
    Write(
        "nobody signs for a move that another made",
        "bob",
        {"promoters": {"production": "bob"}},
        says="spec.promoters.production says who moved that stage",
    ),
    Write(
        "nobody takes away who made a move",
        "ann",
        {"promoters": None},
        says="spec.promoters.production says who moved that stage",
    ),
    Write("a viewer writes nothing", "eve", {"description": "x"}, 403, "cannot patch resource"),
]
