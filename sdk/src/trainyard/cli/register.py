"""`trainyard register`: a version of a model from a run that is over."""

from typing import Annotated

import typer

from trainyard.cli.completion import complete_model, complete_run
from trainyard.cli.options import Context, Namespace, client_for
from trainyard.cli.stopping import telling
from trainyard.cli.terminal import note


def register(
    run: Annotated[
        str,
        typer.Argument(
            metavar="RUN",
            help="A finished Run, or the id of any MLflow run.",
            autocompletion=complete_run,
        ),
    ],
    *,
    model: Annotated[
        str,
        typer.Option("--as", metavar="MODEL", help="The Model.", autocompletion=complete_model),
    ],
    artifact: Annotated[
        str,
        typer.Option(metavar="NAME", help="Which logged model, where there are several."),
    ] = "",
    namespace: Namespace = "",
    context: Context = "",
) -> None:
    """Register what a run logged as the next version of a model.

    A Model that does not exist is made, without gates. Of a search
    (GridSearchCV), the best estimator is taken.

    \b
    Examples:
      trainyard register digits-search --artifact best_estimator --as digits
      trainyard register 0123456789abcdef0123456789abcdef --as digits
    """
    from trainyard.registering import register as make  # noqa: PLC0415  # not for --help

    client = client_for(namespace, context)
    versions = f"trainyard versions {model}{client.command_options()}"
    with telling(f"Stopped: whether it was registered shows {versions}"):
        made = make(run, model, artifact=artifact, client=client)
    print(made.metadata.name)
    note(
        f"Registered as version {made.spec.version} of {model}, which is being published:"
        f" {versions}"
    )
