"""`trainyard serve`: a Deployment from one word, and whether it came up."""

import re
from typing import TYPE_CHECKING, Annotated, Any

import typer

from trainyard.cli.completion import complete_served
from trainyard.cli.options import Context, Namespace, client_for
from trainyard.cli.terminal import note

if TYPE_CHECKING:
    from trainyard_api.deployment import Deployment, ServedModel

    from trainyard.client import Client

_WORD = re.compile(r"(?:models:/)?(?P<name>[^@/]+)(?:@(?P<alias>[^@/]+)|/(?P<version>\d+))")


def serve(
    model: Annotated[
        str,
        typer.Argument(
            metavar="MODEL@STAGE|MODEL/VERSION",
            help="What to serve, as in MLflow's models:/ URIs.",
            autocompletion=complete_served,
        ),
    ],
    *,
    name: Annotated[
        str, typer.Option(help="Name of the Deployment; default: the Model's.", show_default=False)
    ] = "",
    replicas: Annotated[
        int | None,
        typer.Option(min=0, max=1000, help="How many pods; default: 1, or as it is."),
    ] = None,
    timeout: Annotated[float, typer.Option(help="Seconds to wait until it serves.", min=1)] = 300,
    detach: Annotated[bool, typer.Option("-d", "--detach", help="Do not wait.")] = False,
    namespace: Namespace = "",
    context: Context = "",
) -> None:
    """Serve a model: make a Deployment, or point the one there is to it, without a failed request.

    By stage, the Deployment follows: when another version is promoted, it rolls.

    \b
    Examples:
      trainyard serve digits@production
      trainyard serve digits/3 --name digits-canary --replicas 2
    """
    target = served_model(model)
    client = client_for(namespace, context)
    deployment = _applied(client, name or target.name, target, replicas)
    if detach:
        print(deployment.metadata.name)
        return
    _until_it_serves(client, deployment, timeout)


def served_model(text: str) -> "ServedModel":
    """Read MODEL@STAGE or MODEL/VERSION.

    Raises:
        InvalidInput: it is neither, or a part of it breaks a rule.
    """
    from trainyard_api.deployment import ServedModel  # noqa: PLC0415

    from trainyard.errors import InvalidInput  # noqa: PLC0415  # not for --help
    from trainyard.kinds import validated  # noqa: PLC0415

    found = _WORD.fullmatch(text)
    if found is None:
        raise InvalidInput(
            f"{text!r} does not say which version of the model to serve",
            fix="Write MODEL@STAGE, such as digits@production, or MODEL/VERSION, such as digits/3",
        )
    given = {key: value for key, value in found.groupdict().items() if value}
    return validated(ServedModel, given, what=repr(text))


def _applied(
    client: "Client", name: str, target: "ServedModel", replicas: int | None
) -> "Deployment":
    """Make the Deployment, or change the one that has the name."""
    from trainyard_api.deployment import Deployment, DeploymentSpec  # noqa: PLC0415
    from trainyard_api.meta import ObjectMeta  # noqa: PLC0415
    from trainyard_api.model import Model  # noqa: PLC0415

    from trainyard.errors import Conflict  # noqa: PLC0415  # not for --help

    client.get(Model, target.name)  # a typing error should show at once
    count = 1 if replicas is None else replicas
    spec = DeploymentSpec(model=target, replicas=count)
    try:
        made = client.create(Deployment(metadata=ObjectMeta(name=name), spec=spec))
    except Conflict:
        wanted = target.model_dump(mode="json", by_alias=True, exclude_none=True)
        change: list[dict[str, Any]] = [{"op": "replace", "path": "/spec/model", "value": wanted}]
        if replicas is not None:
            change.append({"op": "replace", "path": "/spec/replicas", "value": replicas})
        made = client.patch(Deployment, name, change)
        note(f"Changed Deployment {name} in namespace {made.metadata.namespace}")
        return made
    note(f"Created Deployment {name} in namespace {made.metadata.namespace}")
    return made


def _until_it_serves(client: "Client", deployment: "Deployment", timeout: float) -> None:
    from trainyard.errors import Rejected  # noqa: PLC0415  # not for --help
    from trainyard.settling import judge  # noqa: PLC0415

    said = [""]

    def tell(seen: "Deployment") -> None:
        verdict = judge(seen)
        if not verdict.settled and verdict.message not in said:
            note(f"  {verdict.message}", style="dim")
            said.append(verdict.message)

    name = deployment.metadata.name
    done = client.wait(deployment, timeout=timeout, seen=tell)
    verdict = judge(done)
    if not verdict.good:
        raise Rejected(
            f"Deployment {name} does not serve: {verdict.reason}: {verdict.message.rstrip('.')}",
            fix=f"More: trainyard describe deployment {name}",
        )
    version = done.status.stable.version if done.status.stable else "?"
    print(f"{name} serves version {version} of {done.spec.model.name}: {done.status.endpoint}")
    note(f"Ask it: trainyard predict {name} --data '[[...]]'")
