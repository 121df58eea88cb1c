"""A Model with two versions that are Published: the first example's, without its high bar."""

import time
from dataclasses import dataclass, field

import yaml
from api import Api, Object, until
from board import RUN_PATH
from trainyard_api.contract import API_VERSION, MODEL_VERSIONS, MODELS
from trainyard_cluster import paths

NAME, STAGE = "digits", "production"
_EXAMPLE = paths.REPOSITORY / "examples" / "01-first-model"
_PUBLISH = 300.0


@dataclass(slots=True)
class Model:
    """A Model whose stage moves between its versions."""

    api: Api
    space: str
    user: str
    holds: int = field(default=0)

    async def promote(self, *, seconds: float) -> float:
        """Move the stage to the other version; return the seconds until it holds it."""
        wanted = 2 if self.holds == 1 else 1
        path = f"{_collection(self.space, MODELS)}/{NAME}"
        begun = time.time()
        spec = {"aliases": {STAGE: wanted}, "promoters": {STAGE: self.user}}
        await self.api.patch(path, {"spec": spec})

        async def is_held() -> bool:
            status = (await self.api.get(path)).get("status") or {}
            return bool((status.get("aliases") or {}).get(STAGE) == wanted)

        # What was asked for is asked for, whether it comes to hold in time or not.
        self.holds = wanted
        what = f"{NAME} version {wanted} is in {STAGE}"
        await until(is_held, what=what, seconds=seconds, every=0.05)
        return time.time() - begun


async def published(api: Api, space: str) -> Model:
    """Train and publish two versions in a namespace."""
    await api.create(f"/api/v1/namespaces/{space}/configmaps", _source())
    await api.create(_collection(space, MODELS), _model())
    for run in yaml.safe_load_all((_EXAMPLE / "runs.yaml").read_text(encoding="utf-8")):
        await api.create(RUN_PATH.format(space), run)
    path = _collection(space, MODEL_VERSIONS)

    async def are_published() -> bool:
        return [_is_published(each) for each in (await api.get(path))["items"]] == [True, True]

    await until(are_published, what="two versions are Published", seconds=_PUBLISH, every=1)
    return Model(api, space, await _user(api))


async def _user(api: Api) -> str:
    """Return who we are: who moves a stage with approval must say so."""
    body = {"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview"}
    review = await api.create("/apis/authentication.k8s.io/v1/selfsubjectreviews", body)
    return str(review["status"]["userInfo"]["username"])


def _is_published(version: Object) -> bool:
    conditions = (version.get("status") or {}).get("conditions") or ()
    return any(c["type"] == "Published" and c["status"] == "True" for c in conditions)


def _source() -> Object:
    train = (_EXAMPLE / "train.py").read_text(encoding="utf-8")
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": "digits-source"},
        "data": {"train.py": train},
    }


def _model() -> Object:
    bar = {"metric": "val_accuracy", "goal": "maximize", "threshold": 0.1}
    return {
        "apiVersion": API_VERSION,
        "kind": "Model",
        "metadata": {"name": NAME},
        "spec": {"stages": [{"name": STAGE, "promotion": "approval", "requires": [bar]}]},
    }


def _collection(space: str, plural: str) -> str:
    return f"/apis/{API_VERSION}/namespaces/{space}/{plural}"
