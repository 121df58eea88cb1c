"""Look at what there is: one resource, all of a kind, where one stands, a namespace at a glance.

Everything here prints as text and shows as a table in a notebook.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any, Generic, overload

import yaml
from trainyard_api.deployment import Deployment
from trainyard_api.meta import Resource
from trainyard_api.model import Model
from trainyard_api.moment import rfc3339
from trainyard_api.run import Run

from trainyard import columns
from trainyard._kube import Object
from trainyard.client import Client
from trainyard.errors import Forbidden
from trainyard.following import describe as said_of
from trainyard.kinds import R, kind_called, kind_name, parse
from trainyard.session import client_or_default
from trainyard.settling import judge
from trainyard.tables import Table, clipped

_FINISHED_SHOWN = 5
_ACTIVE_SHOWN = 15
_LONGEST = 100


class Listing(list[R], Generic[R]):
    """Resources of a kind, as a list; printed and in a notebook, a table of them."""

    def __init__(self, kind: type[R], found: Iterable[R], *, namespaced: bool = False) -> None:
        super().__init__(found)
        self._kind, self._namespaced = kind, namespaced

    def table(self) -> Table:
        """Return the columns that `kubectl get` shows."""
        now = columns.utc_now()
        titles = columns.titles(self._kind, namespaced=self._namespaced)
        return Table(
            titles,
            [
                columns.row(self._kind, shown(each), now=now, namespaced=self._namespaced)
                for each in self
            ],
        )

    def __str__(self) -> str:
        return str(self.table())

    __repr__ = __str__

    def _repr_html_(self) -> str:
        return self.table()._repr_html_()


@dataclass(frozen=True, slots=True)
class Description:
    """Where a resource stands, and why: text that `trainyard describe` prints."""

    text: str

    def __str__(self) -> str:
        return self.text

    __repr__ = __str__


@dataclass(frozen=True, slots=True)
class Overview:
    """A namespace at a glance; the tables may be empty."""

    namespace: str
    runs: Table
    models: Table
    deployments: Table
    unshown_runs: int = 0

    def parts(self) -> Iterator[tuple[str, Table]]:
        """Yield headings and tables."""
        yield f"Runs in {self.namespace}", self.runs
        yield "Models", self.models
        yield "Deployments", self.deployments

    def __str__(self) -> str:
        return "\n\n".join(f"{title}\n{table}" for title, table in self.parts())

    __repr__ = __str__

    def _repr_html_(self) -> str:
        parts = ((escape(title), part._repr_html_()) for title, part in self.parts())
        return "".join(f"<h4>{title}</h4>{shown}" for title, shown in parts)


@overload
def get(kind: type[R], name: str, *, client: Client | None = None) -> R: ...
@overload
def get(kind: str, name: str, *, client: Client | None = None) -> Resource: ...
def get(kind: type[Resource] | str, name: str, *, client: Client | None = None) -> Resource:
    """Read one resource.

    Args:
        kind: such as `ty.Run`, or by any of its names: "run", "version", "mdep".

    Raises:
        NotFound: there is none of this name.

    Example:
        >>> ty.get("run", "digits-deep").status.phase  # doctest: +SKIP
    """
    return client_or_default(client).get(_kind(kind), name)


@overload
def list_all(
    kind: type[R], *, labels: str = "", all_namespaces: bool = False, client: Client | None = None
) -> Listing[R]: ...
@overload
def list_all(
    kind: str, *, labels: str = "", all_namespaces: bool = False, client: Client | None = None
) -> Listing[Any]: ...
def list_all(
    kind: type[Resource] | str,
    *,
    labels: str = "",
    all_namespaces: bool = False,
    client: Client | None = None,
) -> Listing[Any]:
    """Read all resources of a kind, by name.

    Args:
        labels: a selector such as `team=vision`.

    Example:
        >>> [run.metadata.name for run in ty.list("runs")]  # doctest: +SKIP
    """
    chosen = _kind(kind)
    client = client_or_default(client)
    found = client.list(chosen, labels=labels, all_namespaces=all_namespaces)
    return Listing(chosen, found, namespaced=all_namespaces)


def describe(kind: type[Resource] | str, name: str, *, client: Client | None = None) -> Description:
    """Say where a resource stands and why: the verdict, conditions, attempts, events, spec.

    Raises:
        NotFound: there is none of this name.

    Example:
        >>> ty.describe("run", "digits-deep")  # doctest: +SKIP
    """
    client = client_or_default(client)
    chosen = _kind(kind)
    item = client.get_object(chosen, name)
    metadata, status = item["metadata"], item.get("status") or {}
    plain = {key: status[key] for key in status if key not in {"conditions", "attempts"}}
    lines = [
        f"{kind_name(chosen)} {name}  (namespace {metadata['namespace']})",
        f"Created {metadata['creationTimestamp']}",
        "",
        *_verdict_lines(chosen, item, client.command_options(metadata["namespace"])),
        "",
        *(["Status:", _indented(plain)] if plain else []),
    ]
    for condition in status.get("conditions", []):
        lines.append(f"{condition['type']}={condition['status']}  {condition['reason']}")
        lines.append(f"  {condition['message']}" if condition["message"] else "")
    for attempt in status.get("attempts", []):
        lines += [f"Attempt {attempt['number']}:", _indented(attempt)]
    lines += _event_lines(client, item)
    return Description("\n".join([*lines, "Spec:", _indented(item.get("spec"))]))


def status(*, client: Client | None = None) -> Overview:
    """Show what runs, what the stages hold and what serves.

    Raises:
        NotFound: there is nothing, because the namespace does not exist.

    Example:
        >>> ty.status()  # doctest: +SKIP
    """
    client = client_or_default(client)
    runs = client.list(Run)
    shown_runs = _run_rows(runs)
    found = Overview(
        client.namespace,
        Table(("NAME", "PHASE", "AGE", "METRIC OR REASON"), shown_runs),
        Table(("MODEL", "STAGE", "VERSION", "REFUSED"), _model_rows(client.list(Model))),
        Table(
            ("NAME", "SERVES", "VERSION", "READY", "PHASE", "ENDPOINT OR REASON"),
            [_deployment_row(each) for each in client.list(Deployment)],
        ),
        len(runs) - len(shown_runs),
    )
    if not any(part.rows for _, part in found.parts()):
        _require_namespace(client)
    return found


def shown(resource: Resource) -> Object:
    """Return a resource as JSON with what columns are made of."""
    body = resource.to_object()
    body["metadata"].setdefault("name", resource.metadata.name)
    return body


def yaml_text(data: object) -> str:
    """Write plain data as YAML, in the order that it has."""
    return str(yaml.safe_dump(data, sort_keys=False, allow_unicode=True, width=100))


def _kind(kind: type[R] | str) -> type[R]:
    return kind_called(kind) if isinstance(kind, str) else kind  # type: ignore[return-value]  # any kind


def _verdict_lines(kind: type[Resource], item: Object, where: str) -> Iterator[str]:
    """Say first where the resource stands, why, and where the way on is explained.

    *where*: the options by which a command finds it.
    """
    verdict, status = judge(parse(kind, item)), item.get("status") or {}
    phase = status.get("phase") or ("Good" if verdict.good else "Waiting")
    yield f"{phase}: {verdict.reason}" + (f": {verdict.message}" if verdict.message else "")
    name = item["metadata"]["name"]
    if kind is Run and verdict.settled and not verdict.good:
        yield f"  → trainyard logs {name}{where}"
        yield f"  → once it is mended: trainyard rerun {name}{where}"
    if _has_page(kind.definition.plural, status):
        yield f"  → trainyard ui {kind.definition.singular}/{name}{where}"
    for condition in status.get("conditions", []):
        if condition["type"] == "Registered" and condition["status"] == "False":
            yield f"Not registered: {condition['reason']}: {condition['message']}"


def _has_page(plural: str, status: Object) -> bool:
    """Tell whether MLflow's UI has a page of a resource already."""
    shown_by = {"runs": "runID", "experiments": "experimentID"}
    return plural == "models" or bool(status.get(shown_by.get(plural, "")))


def _event_lines(client: Client, item: Object) -> Iterator[str]:
    try:
        found = client.kube.request(
            "GET",
            f"/api/v1/namespaces/{item['metadata']['namespace']}/events",
            what="read its events",
            params={"fieldSelector": f"involvedObject.uid={item['metadata']['uid']}"},
        )
    except Forbidden:
        return
    events = sorted(found.get("items", []), key=lambda event: str(_when(event)))
    if events:
        yield "Events:"
    for event in events:
        yield f"  {_when(event)}  {event.get('reason')}: {event.get('message')}"


def _when(event: Object) -> str:
    return event.get("lastTimestamp") or event.get("eventTime") or "-"


def _indented(data: object) -> str:
    return "\n".join(f"  {line}" for line in yaml_text(data).splitlines())


def _run_rows(runs: Sequence[Run]) -> list[list[str]]:
    """Show the newest of those that go on, then of those that have ended."""
    newest = sorted(runs, key=lambda run: str(run.metadata.creation_timestamp), reverse=True)
    active = [run for run in newest if not judge(run).settled]
    ended = [run for run in newest if judge(run).settled]
    return [_run_row(run) for run in (*active[:_ACTIVE_SHOWN], *ended[:_FINISHED_SHOWN])]


def _run_row(run: Run) -> list[str]:
    verdict, said = judge(run), run.status.metric or ""
    if not verdict.good:
        said = f"{verdict.reason}: {verdict.message}" if verdict.settled else said_of(run)
    created = run.metadata.creation_timestamp
    when = columns.age(rfc3339(created), columns.utc_now()) if created else "-"
    return [run.metadata.name, str(run.status.phase or "Pending"), when, clipped(said, _LONGEST)]


def _model_rows(models: Iterable[Model]) -> list[list[str]]:
    rows = []
    for model in models:
        stages = {stage.name: stage for stage in model.status.stages}
        for name in [*stages, *(a for a in model.status.aliases if a not in stages)]:
            stage = stages.get(name)
            version = stage.version if stage else model.status.aliases[name]
            refusal = stage.refusal if stage else None
            said = f"refused {refusal.version}: {refusal.message}" if refusal else ""
            rows.append([model.metadata.name, name, str(version or "-"), clipped(said, _LONGEST)])
        if not stages and not model.status.aliases:
            rows.append([model.metadata.name, "-", str(model.status.latest_version or "-"), ""])
    return rows


def _deployment_row(each: Deployment) -> list[str]:
    wanted, verdict = each.spec.model, judge(each)
    trouble = clipped(f"{verdict.reason}: {verdict.message}", _LONGEST)
    return [
        each.metadata.name,
        f"{wanted.name} {wanted.alias or wanted.version}",
        str(each.status.stable.version) if each.status.stable else "-",
        f"{each.status.ready_replicas}/{each.spec.replicas}",
        str(each.status.phase or "Pending"),
        (each.status.endpoint or "") if verdict.good else trouble,
    ]


def _require_namespace(client: Client) -> None:
    """Raise NotFound where nothing is because the namespace does not exist."""
    try:
        client.kube.request(
            "GET",
            f"/api/v1/namespaces/{client.namespace}",
            what=f"look into namespace {client.namespace}",
        )
    except Forbidden:
        """Who may not see namespaces is in the right one, we hope."""


def table_of(resource: Resource) -> Table:
    """Return one resource as a row, and in a line below where it stands."""
    verdict = judge(resource)
    said = f"{verdict.reason}: {verdict.message}" if verdict.message else verdict.reason
    table = Listing(type(resource), [resource]).table()
    return Table(table.titles, table.rows, said)
