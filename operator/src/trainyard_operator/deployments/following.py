"""Which version a Deployment should serve, and whether it may. Pure.

Only what is asked for: how to get there from what is served is rollout.py.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from trainyard_api.conditions import ServingReason

from trainyard_operator import servable
from trainyard_operator.deployments.rollout import Failure, Target, Wish
from trainyard_operator.engine import conditions
from trainyard_operator.engine.plan import Object
from trainyard_operator.settings import Runtime

DEFAULT_RUNTIME = "sklearn"


@dataclass(frozen=True, slots=True)
class Followed:
    """What spec.model names, as far as it exists.

    Attributes:
        number: The version named, or held by the alias; None while it holds none.
    """

    model: Object | None = None
    number: int | None = None
    version: Object | None = None


@dataclass(frozen=True, slots=True)
class Order:
    """What to roll out, and what is in the way.

    Attributes:
        problem: Why nothing new can be rolled out; what is served stays.
        runtime: What pods run on; None if the preset cannot serve.
    """

    wish: Wish
    problem: Failure | None = None
    verdict: servable.Verdict | None = None
    runtime: Runtime | None = None


def decide(resource: Object, followed: Followed, *, runtimes: Mapping[str, Runtime]) -> Order:
    """Decide what the Deployment should serve."""
    spec = resource["spec"]
    missing = _missing(spec["model"], followed)
    name = spec.get("runtime", DEFAULT_RUNTIME)
    runtime = runtimes.get(name)
    usable = runtime if runtime is not None and runtime.serving_image else None
    verdict = _verdict(followed.version, usable) if missing is None else None
    barred = None
    if verdict is not None and verdict.status == "False":
        barred = Failure(ServingReason.NOT_SERVABLE, verdict.message)
    wish = Wish(
        target=_target(followed) if missing is None else None,
        replicas=spec.get("replicas", 1),
        retry=spec.get("retry"),
        blocked=barred,
    )
    problem = missing or (_no_runtime(name, runtimes) if usable is None else None)
    return Order(wish, problem, verdict, usable)


def _target(followed: Followed) -> Target | None:
    if followed.version is None:
        return None
    number = int(followed.version["spec"]["version"])
    return Target(number, followed.version["status"]["digest"])


def _missing(wanted: Object, followed: Followed) -> Failure | None:
    if followed.model is None:
        told = f"there is no Model {wanted['name']} in this namespace"
        return Failure(ServingReason.MODEL_MISSING, told)
    if followed.number is None:
        return Failure(ServingReason.ALIAS_EMPTY, _empty_alias(followed.model, wanted))
    if followed.version is None:
        told = f"Model {wanted['name']} has no version {followed.number}"
        return Failure(ServingReason.VERSION_MISSING, told)
    status = followed.version.get("status") or {}
    if status.get("digest"):
        return None
    published = conditions.find(status, "Published") or {}
    told = f"version {followed.number} is not published: {published.get('message', 'not yet')}"
    return Failure(ServingReason.VERSION_NOT_PUBLISHED, told)


def _empty_alias(model: Object, wanted: Object) -> str:
    alias = wanted["alias"]
    stages = (model.get("status") or {}).get("stages") or ()
    refusal = next((s.get("refusal") for s in stages if s["name"] == alias), None)
    if refusal:
        return f"alias {alias} holds no version: {refusal['message']}"
    return (
        f"alias {alias} of Model {wanted['name']} holds no version: promote one, or name"
        " spec.model.version"
    )


def _verdict(version: Object | None, runtime: Runtime | None) -> servable.Verdict | None:
    if runtime is None or version is None:
        return None
    status = version.get("status") or {}
    return servable.judge(
        status.get("flavors") or {},
        status.get("requirements") or (),
        runtime=runtime.name,
        packages=runtime.packages,
    )


def _no_runtime(name: str, runtimes: Mapping[str, Runtime]) -> Failure:
    usable = ", ".join(sorted(n for n, r in runtimes.items() if r.serving_image)) or "none"
    return Failure(
        ServingReason.RUNTIME_MISSING,
        f"spec.runtime: {name} is no runtime that can serve; this installation has: {usable}",
    )
