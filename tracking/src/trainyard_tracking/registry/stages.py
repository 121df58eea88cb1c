"""What holds an alias, and how MLflow's stages map to ours. Pure."""

from trainyard_tracking.kube import Object

_CLASSIC = {"staging": "Staging", "production": "Production", "archived": "Archived"}
NO_STAGE = "None"


def find_stage(model: Object, alias: str) -> Object | None:
    """Find the policy of an alias, if it has one."""
    stages = model.get("spec", {}).get("stages") or ()
    return next((stage for stage in stages if stage["name"] == alias), None)


def stage_named(model: Object, classic: str) -> Object | None:
    """Find the stage that MLflow's name means, whatever its capitals."""
    stages = model.get("spec", {}).get("stages") or ()
    wanted = classic.casefold()
    return next((stage for stage in stages if stage["name"].casefold() == wanted), None)


def held_aliases(model: Object) -> dict[str, int]:
    """Give what every alias points at.

    A stage points at what passed its gates, which is in the status. Any other alias is what the
    spec says, without waiting for anyone.
    """
    wanted = model.get("spec", {}).get("aliases") or {}
    held = (model.get("status") or {}).get("aliases") or {}
    stages = {stage["name"] for stage in model.get("spec", {}).get("stages") or ()}
    free = {alias: version for alias, version in wanted.items() if alias not in stages}
    gated = {alias: version for alias, version in held.items() if alias in stages}
    return {alias: int(version) for alias, version in {**free, **gated}.items()}


def classic_stage(model: Object, version: int) -> str:
    """Give MLflow's stage of a version: the highest stage that it holds."""
    held = held_aliases(model)
    names = [stage["name"] for stage in model.get("spec", {}).get("stages") or ()]
    holding = [name for name in names if held.get(name) == version]
    shown = [_CLASSIC[name.casefold()] for name in holding if name.casefold() in _CLASSIC]
    # Stages are listed from the first to the last; the last one that it holds counts.
    return shown[-1] if shown else NO_STAGE
