"""The way to the API server: kubeconfig, TLS, credentials, requests, watches.

The only module that knows the `kubernetes` package, which reads kubeconfig files
and runs their login plug-ins; the requests themselves go through httpx, as those
to the tracking service do. Knows no kinds: paths and plain objects only.
"""

import json
import os
import re
import ssl
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any
from urllib.parse import unquote
from urllib.request import getproxies

import httpx
import yaml

from trainyard._patience import Patience
from trainyard.errors import ApiError, InvalidInput, Unreachable, from_response

Object = dict[str, Any]
"""A Kubernetes object as JSON."""

JSON_PATCH = "application/json-patch+json"

# What the kubernetes package raises on a file that is no kubeconfig.
_NO_KUBECONFIG = (yaml.YAMLError, KeyError, TypeError, AttributeError)
_TIMEOUT = httpx.Timeout(30, connect=10)
_NAMESPACE = re.compile("/namespaces/([^/]+)")
_NO_CLUSTER = (
    "Set KUBECONFIG or --context, or make a local cluster (make cluster);"
    " `trainyard run --local FOLDER` needs none"
)


@dataclass(frozen=True, slots=True)
class Access:
    """Where the API server is and how to be let in.

    `token` returns a fresh bearer token each time, or "" for client certificates; `is_chosen`
    tells whether the context was named, and is not just the current one.
    """

    server: str
    context: str
    namespace: str
    verify: ssl.SSLContext | bool
    token: Callable[[], str]
    proxy: str | None = None
    server_name: str | None = None
    is_chosen: bool = False

    def command_options(self, namespace: str = "") -> str:
        """Return the options by which a command comes here: ` -n team --context lab`, or "".

        The kubeconfig's own namespace is named as well, since what is printed may be typed
        when another is current; `default` alone needs no word.
        """
        where = namespace or self.namespace
        is_usual = where == self.namespace == "default"
        context = f" --context {self.context}" if self.is_chosen else ""
        return ("" if is_usual else f" -n {where}") + context


class Kube:
    """Requests to one API server; thread-safe. Errors come out as `trainyard.errors`."""

    def __init__(self, access: Access, *, patience: Patience | None = None) -> None:
        self.access = access
        self.patience = patience or Patience()

    @cached_property
    def http(self) -> httpx.Client:
        """The connection pool, for those who stream."""
        return httpx.Client(
            base_url=self.access.server,
            verify=self.access.verify,
            proxy=self.access.proxy,
            timeout=_TIMEOUT,
            follow_redirects=False,
        )

    def request(
        self,
        method: str,
        path: str,
        *,
        what: str,
        body: object = None,
        content_type: str = "application/json",
        params: Mapping[str, Any] | None = None,
        harmless: bool | None = None,
        until: float | None = None,
    ) -> Object:
        """Send one request, again while nobody answers, and return the JSON answer.

        Args:
            what: the attempt in words that continue "cannot", for the error message.
            harmless: the request may be carried out twice; default: a GET may.
            until: as in `Patience.ask`.

        Raises:
            ApiError: the server refused; the subclass says how.
            Unreachable: nobody answered, for as long as patience lasts.
        """
        return self.patience.ask(
            lambda: self._request(method, path, what, body=body, kind=content_type, params=params),
            harmless=method == "GET" if harmless is None else harmless,
            until=until,
        )

    def _request(
        self,
        method: str,
        path: str,
        what: str,
        *,
        body: object,
        kind: str,
        params: Mapping[str, Any] | None,
    ) -> Object:
        content = None if body is None else json.dumps(body)
        headers = {"Content-Type": kind} if content is not None else {}
        with self.reaching(what):
            answer = self.http.request(
                method,
                path,
                content=content,
                params=params,
                headers={**headers, **self.credentials()},
                extensions=self.extensions,
            )
        return object_of(answer, what, where=self._options(path))

    @contextmanager
    def stream(
        self, path: str, *, what: str, params: Mapping[str, Any] | None = None, idle: float = 60
    ) -> Iterator[httpx.Response]:
        """Open a GET whose answer is read as it comes, each byte within *idle* seconds.

        Raises:
            ApiError, Unreachable: as `request` does.
        """
        with (
            self.reaching(what),
            self.http.stream(
                "GET",
                path,
                params=params,
                headers=self.credentials(),
                timeout=httpx.Timeout(30, connect=10, read=idle),
                extensions=self.extensions,
            ) as answer,
        ):
            if not answer.is_success:
                answer.read()
                raise error_of(answer, what, where=self._options(path))
            yield answer

    def credentials(self) -> dict[str, str]:
        """Return the header that lets one in; empty where a client certificate does."""
        token = self.access.token()
        return {"Authorization": f"Bearer {token}"} if token else {}

    def _options(self, path: str) -> str:
        """Return the command's options for the namespace that a path leads into."""
        found = _NAMESPACE.search(path)
        return self.access.command_options(unquote(found[1]) if found else "")

    @property
    def extensions(self) -> dict[str, Any]:
        """Return httpx's extensions: the name that the server's certificate bears."""
        name = self.access.server_name
        return {"sni_hostname": name} if name else {}

    @contextmanager
    def reaching(self, what: str) -> Iterator[None]:
        """Translate httpx's connection errors of what happens inside."""
        doctor = f"`trainyard doctor{self.access.command_options()}`"
        try:
            yield
        except (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout) as exc:
            error = Unreachable(
                f"Cannot {what}: the API server of context {self.access.context!r} at"
                f" {self.access.server} does not answer ({str(exc) or type(exc).__name__})",
                fix="Check that it runs and that the network (VPN, proxy) leads there, or choose"
                " another with --context",
            )
            error.unsent = True
            # A certificate that is not trusted is not trusted in a minute either.
            error.passing = "CERTIFICATE_VERIFY_FAILED" not in str(exc)
            raise error from exc
        except httpx.ReadTimeout as exc:
            raise Unreachable(
                f"Cannot {what}: {self.access.server} took the request and does not answer",
                fix=f"Try again; {doctor} checks the way",
            ) from exc
        except (httpx.TransportError, ssl.SSLError) as exc:
            raise Unreachable(
                f"Cannot {what}: the connection to {self.access.server} broke off"
                f" ({str(exc) or type(exc).__name__})",
                fix=f"Try again; {doctor} checks the way",
            ) from exc


def lines(answer: httpx.Response) -> Iterator[bytes]:
    """Yield the lines of a stream with their line feeds; the last one may have none.

    Split at line feeds only: httpx's own splits at carriage returns and some
    Unicode characters too, which occur inside JSON and progress bars.
    """
    rest = b""
    for block in answer.iter_bytes():
        *whole, rest = (rest + block).split(b"\n")
        yield from (line + b"\n" for line in whole)
    if rest:
        yield rest


def error_of(answer: httpx.Response, what: str, *, where: str = "") -> ApiError:
    """Translate an error answer; *what* as in `Kube.request`, *where* as in `from_response`."""
    if not answer.is_error:
        return _strange(answer, what)
    later = answer.headers.get("Retry-After", "")
    body = as_json(answer)
    return from_response(answer.status_code, body, what=what, retry_after=later, where=where)


def object_of(answer: httpx.Response, what: str, *, where: str = "") -> Object:
    """Return the JSON object, or array, of a success.

    Raises:
        ApiError: it is an error, or none of the server's own: a page of a login or a proxy.
    """
    if not answer.is_success:
        raise error_of(answer, what, where=where)
    try:
        body = answer.json()
    except ValueError:
        raise _strange(answer, what) from None
    return body if isinstance(body, dict) else {"items": body}


def stranger(what: str, said: str, status: int = 200) -> ApiError:
    """Describe an answer that does not come from whom was asked; *said*: what shows that."""
    return ApiError(
        f"Cannot {what}: {said}",
        fix="Something between here and the cluster answers in its place, such as a login page or"
        " a proxy: look at the server's address in the kubeconfig, and at HTTPS_PROXY",
        status=status,
        reason="StrangeAnswer",
    )


def _strange(answer: httpx.Response, what: str) -> ApiError:
    kind = answer.headers.get("Content-Type", "no content type")
    there = answer.headers.get("Location", "")
    said = f"leads to {there:.200}" if there else f"is no JSON ({kind:.100})"
    who = f"the answer of {answer.url.host} (HTTP {answer.status_code})"
    return stranger(what, f"{who} {said}", answer.status_code)


def as_json(answer: httpx.Response) -> Object:
    """Return the body as an object; a body that is none as its text under `message`."""
    try:
        body = answer.json()
    except ValueError:
        return {"message": answer.text[:500].strip()}
    return body if isinstance(body, dict) else {"items": body}


def connect(
    *,
    context: str | None = None,
    kubeconfig: str | None = None,
    patience: Patience | None = None,
) -> Kube:
    """Read the kubeconfig, or inside a pod its service account, and prepare the way.

    Raises:
        InvalidInput: there is no usable kubeconfig or no such context.
    """
    from kubernetes import config  # noqa: PLC0415  # half a second that `--help` need not wait

    path = _kubeconfig_path(kubeconfig)
    inside = not context and not kubeconfig and "KUBERNETES_SERVICE_HOST" in os.environ
    if inside and "KUBECONFIG" not in os.environ and not Path(path).exists():
        return Kube(_in_cluster(), patience=patience)
    try:
        return Kube(_from_kubeconfig(context, path), patience=patience)
    except (config.ConfigException, OSError, ValueError) as exc:
        raise InvalidInput(f"No cluster to talk to: {exc}".rstrip("."), fix=_NO_CLUSTER) from exc
    except _NO_KUBECONFIG as exc:
        told = " ".join(str(exc).split())
        raise InvalidInput(f"{path} is no kubeconfig: {told}", fix=_NO_CLUSTER) from exc


def contexts(kubeconfig: str | None = None) -> list[str]:
    """List the contexts of the kubeconfig; none where there is no kubeconfig."""
    from kubernetes import config  # noqa: PLC0415  # as in connect

    try:
        found, _ = config.list_kube_config_contexts(config_file=_kubeconfig_path(kubeconfig))
    except (config.ConfigException, OSError, ValueError, *_NO_KUBECONFIG):
        return []
    return sorted(entry["name"] for entry in found)


def _kubeconfig_path(given: str | None) -> str:
    """Look at the environment now; the kubernetes package looks once, when it is imported."""
    return given or os.environ.get("KUBECONFIG") or str(Path.home() / ".kube" / "config")


def _from_kubeconfig(context: str | None, kubeconfig: str) -> Access:
    from kubernetes import client, config  # noqa: PLC0415  # as in connect

    found, current = config.list_kube_config_contexts(config_file=kubeconfig)
    names = [entry["name"] for entry in found]
    chosen = current if context is None else next((e for e in found if e["name"] == context), None)
    if chosen is None:
        raise InvalidInput(
            f"The kubeconfig has no context {context!r}: there are {', '.join(names) or 'none'}",
            fix="Choose one of them with --context",
        )
    settings = client.Configuration()
    config.load_kube_config(
        config_file=kubeconfig,
        context=chosen["name"],
        client_configuration=settings,
        persist_config=False,
    )
    namespace = chosen["context"].get("namespace") or "default"
    return replace(_access(settings, chosen["name"], namespace), is_chosen=bool(context))


def _in_cluster() -> Access:
    from kubernetes import client, config  # noqa: PLC0415  # as in connect

    settings = client.Configuration()
    try:
        config.load_incluster_config(client_configuration=settings)
    except config.ConfigException as exc:
        raise InvalidInput(
            f"This pod has no service account token: {exc}".rstrip("."),
            fix="A Run's pod may not use the Kubernetes API; MLflow works without it",
        ) from exc
    return _access(settings, "in-cluster", os.environ.get("TRAINYARD_NAMESPACE", "default"))


def _access(settings: Any, context: str, namespace: str) -> Access:
    def token() -> str:
        value = settings.get_api_key_with_prefix("BearerToken", alias="authorization") or ""
        return str(value).removeprefix("Bearer ").removeprefix("bearer ").strip()

    return Access(
        server=str(settings.host).rstrip("/"),
        context=context,
        namespace=namespace,
        verify=_tls(settings),
        token=token,
        # The kubeconfig's own proxy-url; httpx honours those of the environment by itself.
        proxy=None if settings.proxy in getproxies().values() else settings.proxy,
        server_name=settings.tls_server_name,
    )


def _tls(settings: Any) -> ssl.SSLContext | bool:
    if not str(settings.host).startswith("https"):
        return True
    tls = ssl.create_default_context(cafile=settings.ssl_ca_cert)
    if not settings.verify_ssl:
        tls.check_hostname = False
        tls.verify_mode = ssl.CERT_NONE
    if settings.cert_file:
        tls.load_cert_chain(settings.cert_file, settings.key_file)
    return tls
