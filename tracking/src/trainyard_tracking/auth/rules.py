"""What a rule is, and how the rule of a request is found. The rows are in other modules.

A route is known by its method and its template, with `{}` for each placeholder, `{...}` for one of
several segments, and `/ajax-api/`, which is what the UI uses, spelled `/api/`. No rule means no.
"""

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from enum import Enum

from trainyard_tracking.auth.call import Body, Call, Reply
from trainyard_tracking.auth.ownership import Ownership
from trainyard_tracking.identity import DeploymentIdentity, RunIdentity, VersionIdentity

RunCheck = Callable[[Call, RunIdentity, Ownership], Reply | None]
VersionCheck = Callable[[Call, VersionIdentity], None]
DeploymentCheck = Callable[[Call, DeploymentIdentity], None]


class Access(Enum):
    """Who of the people may come in, where rights on a resource don't say it."""

    OPEN = "no token needed"
    KNOWN = "any token of the cluster"
    OPERATOR = "the operator"
    NOBODY = "nobody"


@dataclass(frozen=True, slots=True)
class Right:
    """A verb on a resource in the namespace of the request."""

    verb: str
    resource: str


People = Access | tuple[Right, ...]


class Where(Enum):
    """What a path in a request is below."""

    STORE = "the artifact store, which all namespaces share"
    RUN = "what the request names: a run, a model, a version"


@dataclass(frozen=True, slots=True)
class Path:
    """Where in a request the path of a file or folder stands.

    Attributes:
        field: Of the query; without one it is the last placeholder of the route.
        folder: Whether it may mean what it is below itself, as `.` does.
    """

    where: Where
    field: str = ""
    folder: bool = False


@dataclass(frozen=True, slots=True)
class Rule:
    """Who may call a route; what is absent may not."""

    people: People
    run: RunCheck | None = None
    version: VersionCheck | None = None
    deployment: DeploymentCheck | None = None
    answer: Body | str | None = None
    """What people are told in MLflow's place; a text says what is not supported."""
    path: Path | None = None
    """The path in the request, which is judged for everybody alike."""


@dataclass(frozen=True, slots=True)
class Row:
    """The rule of one template; `prefix` makes it that of all paths below, too.

    A prefix only closes: it covers what a newer MLflow adds, of which nobody has thought yet.
    """

    methods: frozenset[str]
    template: str
    rule: Rule
    prefix: bool = False

    def __post_init__(self) -> None:
        if self.prefix and self.rule.people is not Access.NOBODY:
            raise ValueError(f"{self.template}: a prefix opens routes that nobody has looked at")


def row(
    methods: str,
    template: str,
    people: People | str,
    run: RunCheck | None = None,
    *,
    version: VersionCheck | None = None,
    deployment: DeploymentCheck | None = None,
    answer: Body | str | None = None,
    path: Path | None = None,
    prefix: bool = False,
) -> Row:
    """Make a row; `people` may be written `update runs`, several joined by a comma."""
    rule = Rule(_people(people), run, version, deployment, answer, path)
    return Row(frozenset(methods.split()), template, rule, prefix)


def _people(written: People | str) -> People:
    if not isinstance(written, str):
        return written
    return tuple(Right(*right.split()) for right in written.split(","))


@dataclass(frozen=True, slots=True)
class Match:
    """The rule of a request, its template, and what its placeholders stand for."""

    rule: Rule
    template: str
    arguments: tuple[str, ...]


@dataclass(slots=True)
class Table:
    """All rules; looks up plain templates at once, then others in order."""

    rows: Iterable[Row]
    _plain: dict[tuple[str, str], Row] = field(default_factory=dict)
    _patterns: list[tuple[re.Pattern[str], Row]] = field(default_factory=list)

    def __post_init__(self) -> None:
        for one in self.rows:
            if "{" in one.template or one.prefix:
                self._patterns.append((_pattern(one), one))
                continue
            for method in one.methods:
                self._plain[method, one.template] = one

    def find(self, method: str, path: str) -> Match | None:
        """Find the rule of a request; HEAD is GET where it has no rule of its own."""
        found = self._find(method, normal(path))
        if found is None and method == "HEAD":
            return self._find("GET", normal(path))
        return found

    def _find(self, method: str, path: str) -> Match | None:
        plain = self._plain.get((method, path))
        if plain is not None:
            return Match(plain.rule, plain.template, ())
        for pattern, one in self._patterns:
            found = pattern.fullmatch(path) if method in one.methods else None
            if found is not None:
                return Match(one.rule, one.template, found.groups())
        return None


def normal(path: str) -> str:
    """Spell the path that the UI uses like the one that clients use."""
    return "/api/" + path.removeprefix("/ajax-api/") if path.startswith("/ajax-api/") else path


def _pattern(one: Row) -> re.Pattern[str]:
    text = re.escape(one.template)
    text = text.replace(re.escape("{}"), "([^/]+)").replace(re.escape("{...}"), "(.+)")
    return re.compile(f"{text}.*" if one.prefix else text, re.DOTALL)
