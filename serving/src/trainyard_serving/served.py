"""The state of the one model this process serves: waiting, ready, draining."""

from dataclasses import dataclass, field

from trainyard_serving.dataplane import Dataplane
from trainyard_serving.errors import NotReady
from trainyard_serving.signature import Signature


@dataclass(frozen=True, slots=True)
class Loaded:
    """A model that answers."""

    dataplane: Dataplane
    signature: Signature
    platform: str


@dataclass(slots=True)
class Served:
    """What is served under which name; `waits_for` says why it isn't yet."""

    name: str
    version: str
    digest: str = ""
    loaded: Loaded | None = None
    draining: bool = False
    waits_for: str = field(default="the model is loading")

    @property
    def ready(self) -> bool:
        """Say whether new traffic should come here."""
        return self.loaded is not None and not self.draining and not self._unwell

    @property
    def broken(self) -> str:
        """Say what is wrong with the machinery; only a restart may help then."""
        return self.loaded.dataplane.broken if self.loaded is not None else ""

    @property
    def _unwell(self) -> str:
        return self.broken or (self.loaded.dataplane.busy if self.loaded is not None else "")

    @property
    def unready_for(self) -> str:
        """Say why no traffic should come here."""
        return "draining" if self.draining else self._unwell or self.waits_for

    def model(self) -> Loaded:
        """Return the model; a draining server still answers.

        Raises:
            NotReady: It is not loaded yet.
        """
        if self.loaded is None:
            raise NotReady(f"model {self.name} version {self.version}: {self.waits_for}")
        return self.loaded
