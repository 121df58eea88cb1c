"""A small client of an API server for tests: what it answers is what is asserted on."""

import contextlib
import json
import ssl
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import httpx
from kube_apiserver import Server
from trainyard_api.contract import API_VERSION, PLURALS

Object = dict[str, Any]

ESTABLISHED_SECONDS = 30


class Refused(Exception):  # noqa: N818  # it reads as what happened
    """The API server said no: the status code, its message, and the fields it names."""

    def __init__(self, code: int, status: Object) -> None:
        self.code = code
        self.message = str(status.get("message", ""))
        causes = (status.get("details") or {}).get("causes") or []
        self.fields = [cause.get("field", "") for cause in causes]
        super().__init__(f"{code}: {self.message}")


@dataclass(frozen=True, slots=True)
class Api:
    """The API server as one user sees it, in one namespace."""

    client: httpx.Client
    namespace: str = "default"
    user: str = ""
    groups: tuple[str, ...] = ()

    def within(self, namespace: str) -> "Api":
        """Return the same in another namespace."""
        return Api(self.client, namespace, self.user, self.groups)

    def as_user(self, user: str, *groups: str) -> "Api":
        """Return the same as another user, by impersonation."""
        return Api(self.client, self.namespace, user, groups)

    def create(self, body: Object, *, dry: bool = False) -> Object:
        """Create an object."""
        params = {"dryRun": "All"} if dry else {}
        return self.ask("POST", self.path(body, name=None), body, params=params)

    def get(self, body: Object) -> Object:
        """Read an object again."""
        return self.ask("GET", self.path(body))

    def patch(self, body: Object, change: Object, *, sub: str = "") -> Object:
        """Merge a change into an object, or into a subresource of it."""
        return self.ask("PATCH", self.path(body) + sub, change, patch="merge-patch+json")

    def replace(self, body: Object, *, sub: str = "") -> Object:
        """Replace an object, or its status."""
        return self.ask("PUT", self.path(body) + sub, body)

    def apply(self, body: Object, *, manager: str, force: bool = False, sub: str = "") -> Object:
        """Apply an object, or its status, by server-side apply."""
        params = {"fieldManager": manager, "force": str(force).lower()}
        path = self.path(body) + sub
        return self.ask("PATCH", path, body, patch="apply-patch+yaml", params=params)

    def move(self, body: Object, *steps: Object) -> Object:
        """Change an object by a JSON patch."""
        return self.ask("PATCH", self.path(body), list(steps), patch="json-patch+json")

    def delete(self, body: Object, *, dry: bool = False) -> Object:
        """Delete an object."""
        return self.ask("DELETE", self.path(body), params={"dryRun": "All"} if dry else {})

    def path(self, body: Object, *, name: str | None = "") -> str:
        """Return the URL of an object, or with name=None of its collection."""
        version, kind = body["apiVersion"], body["kind"]
        plural = PLURALS[kind] if version == API_VERSION else f"{kind.lower()}s"
        plural = f"{plural[:-2]}ies" if plural.endswith("ys") else plural
        root = f"/apis/{version}" if "/" in version else f"/api/{version}"
        space = f"/namespaces/{self.namespace}" if self._is_namespaced(body) else ""
        own = "" if name is None else f"/{body['metadata']['name']}"
        return f"{root}{space}/{plural}{own}"

    def ask(
        self,
        verb: str,
        path: str,
        body: Object | list[Object] | None = None,
        *,
        patch: str = "json",
        params: dict[str, str] | None = None,
        accept: str = "application/json",
    ) -> Object:
        """Send a request, and return the answer.

        Raises:
            Refused: The API server answered with an error.
        """
        headers = [("Accept", accept)]
        headers += [("Content-Type", f"application/{patch}")]
        headers += [("Impersonate-User", self.user)] if self.user else []
        headers += [("Impersonate-Group", group) for group in self.groups]
        answer = self.client.request(
            verb,
            path,
            content=None if body is None else json.dumps(body),
            params=params,
            headers=headers,
        )
        found: Object = answer.json()
        if answer.is_error:
            raise Refused(answer.status_code, found)
        return found

    @staticmethod
    def _is_namespaced(body: Object) -> bool:
        return body["kind"] not in {
            "ClusterRole",
            "ClusterRoleBinding",
            "CustomResourceDefinition",
            "Namespace",
            "ValidatingAdmissionPolicy",
            "ValidatingAdmissionPolicyBinding",
        }


@contextlib.contextmanager
def connected(server: Server) -> Iterator[Api]:
    """Connect to an API server as its administrator."""
    context = ssl.create_default_context(cafile=server.certificate)
    with httpx.Client(
        base_url=server.url,
        verify=context,
        headers={"Authorization": f"Bearer {server.token}"},
        timeout=30,
    ) as client:
        yield Api(client)


def establish(api: Api, *definitions: Object) -> None:
    """Create CustomResourceDefinitions, and wait until all of them are served."""
    for definition in definitions:
        api.create(definition)
    deadline = time.monotonic() + ESTABLISHED_SECONDS
    waiting = list(definitions)
    while waiting:
        if time.monotonic() > deadline:
            raise TimeoutError(f"not established: {[each['metadata']['name'] for each in waiting]}")
        waiting = [each for each in waiting if not _is_served(api, each)]
        time.sleep(0.1)


def _is_served(api: Api, definition: Object) -> bool:
    spec = definition["spec"]
    version = spec["versions"][0]["name"]
    with contextlib.suppress(Refused):
        api.ask("GET", f"/apis/{spec['group']}/{version}/{spec['names']['plural']}")
        conditions = api.get(definition)["status"].get("conditions", [])
        return any(c["type"] == "Established" and c["status"] == "True" for c in conditions)
    return False


def clean(body: Object) -> Object:
    """Return an object as a user would write it: without what the API server adds."""
    metadata = {"name": body["metadata"]["name"]}
    return {
        **{k: v for k, v in body.items() if k not in {"metadata", "status"}},
        "metadata": metadata,
    }
