"""What a client says a version is made of, as the resource says it."""

from dataclasses import dataclass

from trainyard_tracking.errors import Refused
from trainyard_tracking.kube import Object
from trainyard_tracking.registry import failures
from trainyard_tracking.registry.resources import Resources
from trainyard_tracking.sources import Sources


@dataclass(frozen=True, slots=True)
class Origins:
    """Reads MLflow's sources."""

    resources: Resources
    sources: Sources

    def source(self, namespace: str, uri: str) -> Object:
        """Write MLflow's source as the resource does.

        Raises:
            MlflowException: it is a version that is not there, or whose files can't be found.
        """
        scheme, _, path = uri.partition(":/")
        first, _, rest = path.strip("/").partition("/")
        if scheme == "runs" and rest:
            return {"mlflowRun": {"id": first, "artifactPath": rest}}
        if scheme == "models" and rest:
            # A copy of another version has that version's source: names may change, files don't.
            other = self.resources.version_of(namespace, first, rest)
            if other is None:
                raise failures.no_version(first, rest)
            return self._copied(namespace, other)
        return {"uri": uri}

    def run_of(self, namespace: str, source: Object) -> str:
        """Give the id of the MLflow run of a source; nothing if there is none."""
        try:
            return self.sources.resolve(namespace, source).run_id or ""
        except Refused as exc:
            if exc.passes:
                raise
            return ""

    def _copied(self, namespace: str, version: Object) -> Object:
        copied: Object = version["spec"]["source"]
        if "run" not in copied:
            return copied
        # A Run's name may be another's by the time the copy is published.
        try:
            return {"uri": self.sources.of_version(namespace, version).uri}
        except Refused as exc:
            if exc.passes:
                raise
            raise failures.from_refusal(exc) from exc
