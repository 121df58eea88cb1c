"""`trainyard get, list, describe, delete, models, versions`: the resources themselves."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from trainyard.cli.completion import complete_kind, complete_resource
from trainyard.cli.options import Context, Form, ModelName, Namespace, Output, client_for
from trainyard.cli.terminal import for_each, note, show_data, show_table

if TYPE_CHECKING:
    from trainyard_api.meta import Resource

Kind = Annotated[
    str,
    typer.Argument(
        metavar="KIND",
        help="runs, experiments, models, versions or deployments; short names do too.",
        autocompletion=complete_kind,
    ),
]
Names = Annotated[
    list[str] | None,
    typer.Argument(metavar="NAME", help="Which ones.", autocompletion=complete_resource),
]
AllNamespaces = Annotated[bool, typer.Option("-A", "--all-namespaces", help="Everywhere.")]
Labels = Annotated[str, typer.Option("-l", "--selector", help="Labels, such as team=vision.")]


def get(
    kind: Kind,
    names: Names = None,
    *,
    output: Output = Form.TABLE,
    selector: Labels = "",
    all_namespaces: AllNamespaces = False,
    namespace: Namespace = "",
    context: Context = "",
) -> None:
    """Show resources of a kind: all, or those named.

    \b
    Examples:
      trainyard get runs
      trainyard get run digits-deep -o yaml
      trainyard get mdep -A
      trainyard get runs -o name | xargs -n1 trainyard cancel
    """
    from trainyard.errors import InvalidInput  # noqa: PLC0415  # not for --help
    from trainyard.kinds import kind_called  # noqa: PLC0415

    chosen = kind_called(kind)
    if names and (all_namespaces or selector):
        option = "-A" if all_namespaces else "-l"
        raise InvalidInput(
            f"Names and {option} do not go together", fix=f"Leave out {option}, or the names"
        )
    client = client_for(namespace, context)
    if names:
        items = [client.get_object(chosen, name) for name in names]
    else:
        where = None if all_namespaces else client.namespace
        items = list(client.list_objects(chosen, namespace=where, labels=selector))
    if not items and output is Form.TABLE:
        place = "in any namespace" if all_namespaces else f"in namespace {client.namespace}"
        which = f" with {selector}" if selector else ""
        note(f"There are no {chosen.definition.plural}{which} {place}")
        return
    _show(chosen, items, output, one=len(names or []) == 1, namespaced=all_namespaces)


def models(output: Output = Form.TABLE, namespace: Namespace = "", context: Context = "") -> None:
    """Show the models and what their stages hold.

    \b
    Example:
      trainyard models
    """
    from trainyard_api.model import Model  # noqa: PLC0415  # not for --help

    client = client_for(namespace, context)
    if output is not Form.TABLE:
        items = list(client.list_objects(Model, namespace=client.namespace))
        _show(Model, items, output, one=False, namespaced=False)
        return
    found = client.list(Model)
    rows = [
        [
            each.metadata.name,
            each.spec.name or each.metadata.name,
            str(each.status.latest_version or "-"),
            str(each.status.versions),
            _holdings(each.status.aliases) or "-",
            _refusals(each) or "-",
        ]
        for each in found
    ]
    if not rows:
        note(
            f"There are no models in namespace {client.namespace} yet:"
            f" trainyard run FOLDER --register MODEL{client.command_options()}"
        )
        return
    show_table(("MODEL", "MLFLOW NAME", "LATEST", "VERSIONS", "HOLDS", "REFUSED"), rows)


def versions(
    model: ModelName,
    output: Output = Form.TABLE,
    namespace: Namespace = "",
    context: Context = "",
) -> None:
    """Show the versions of a model, the newest first, with their metrics and stages.

    \b
    Example:
      trainyard versions digits
    """
    from trainyard_api.model import Model  # noqa: PLC0415
    from trainyard_api.model_version import ModelVersion  # noqa: PLC0415

    from trainyard.promotion import headline_metrics  # noqa: PLC0415  # not for --help

    client = client_for(namespace, context)
    owner = client.get(Model, model)
    found = [each for each in client.list(ModelVersion) if each.spec.model == model]
    found.sort(key=lambda each: -each.spec.version)
    if output is not Form.TABLE:
        items = [client.get_object(ModelVersion, each.metadata.name) for each in found]
        _show(ModelVersion, items, output, one=False, namespaced=False)
        return
    rows = [
        [
            str(each.spec.version),
            str(each.status.phase or "-"),
            ", ".join(a for a, v in owner.status.aliases.items() if v == each.spec.version) or "-",
            each.status.run or "-",
            headline_metrics(each, owner) or "-",
            (each.status.digest or "-")[:19],
        ]
        for each in found
    ]
    show_table(("VERSION", "PHASE", "STAGES", "RUN", "METRICS", "DIGEST"), rows)


def describe(
    kind: Kind,
    name: Annotated[
        str,
        typer.Argument(
            metavar="NAME", help="Its name.", autocompletion=complete_resource, show_default=False
        ),
    ] = "",
    namespace: Namespace = "",
    context: Context = "",
) -> None:
    """Show where a resource stands and why: the verdict, conditions, attempts, events, spec.

    \b
    Example:
      trainyard describe run digits-deep
    """
    from trainyard.errors import InvalidInput  # noqa: PLC0415  # not for --help
    from trainyard.kinds import kind_called, kind_name  # noqa: PLC0415
    from trainyard.looking import describe as describe_  # noqa: PLC0415

    which = kind_name(kind_called(kind))
    client = client_for(namespace, context)
    if not name:
        fix = f"`trainyard get {kind}{client.command_options()}` lists them"
        raise InvalidInput(f"No {which} is named", fix=fix)
    print(describe_(kind, name, client=client))


def delete(
    kind: Kind,
    names: Annotated[
        list[str],
        typer.Argument(metavar="NAME", help="Which ones.", autocompletion=complete_resource),
    ],
    yes: Annotated[bool, typer.Option("-y", "--yes", help="Do not ask.")] = False,
    namespace: Namespace = "",
    context: Context = "",
) -> None:
    """Delete resources. A Run's MLflow record stays; its pod and Job go with it.

    One that cannot be deleted does not keep the others: exit code 1 at the end.

    \b
    Example:
      trainyard delete run digits-shallow digits-deep
    """
    import sys  # noqa: PLC0415  # only here

    from trainyard.errors import InvalidInput  # noqa: PLC0415  # not for --help
    from trainyard.kinds import kind_called  # noqa: PLC0415  # not for --help

    chosen = kind_called(kind)
    client = client_for(namespace, context)
    listed = f"{chosen.definition.singular} {', '.join(names)} in namespace {client.namespace}"
    if not (yes or sys.stdin.isatty()):
        raise InvalidInput(f"Nobody is there to ask about {listed}", fix="Say yes with -y")
    if not yes:
        typer.confirm(f"Delete {listed}?", abort=True, err=True)

    def delete_one(name: str) -> None:
        client.delete(chosen, name)
        print(f"{chosen.definition.singular}/{name} deleted")

    if not for_each(names, delete_one):
        raise typer.Exit(1)


def _show(
    kind: "type[Resource]", items: list[Any], output: Form, *, one: bool, namespaced: bool
) -> None:
    from trainyard.columns import row, titles, utc_now  # noqa: PLC0415  # not for --help

    if output is Form.NAME:
        for item in items:
            print(item["metadata"]["name"])
        return
    if output is not Form.TABLE:
        for item in items:
            item["metadata"].pop("managedFields", None)
        show_data(items[0] if one else {"items": items}, output)
        return
    now = utc_now()
    rows = [row(kind, item, now=now, namespaced=namespaced) for item in items]
    show_table(titles(kind, namespaced=namespaced), rows)


def _holdings(aliases: dict[str, int]) -> str:
    return ", ".join(f"{alias}={version}" for alias, version in sorted(aliases.items()))


def _refusals(model: Any) -> str:
    return "; ".join(
        f"{stage.name}: {stage.refusal.version} ({stage.refusal.reason})"
        for stage in model.status.stages
        if stage.refusal is not None
    )
