"""Who asks, for whatever the door let in: the registry writes with it, workspaces list by it."""

from contextvars import ContextVar

from trainyard_tracking.identity import Identity

CALLER: ContextVar[Identity | None] = ContextVar("trainyard_caller", default=None)
SHOWN: ContextVar[str | None] = ContextVar("trainyard_shown", default=None)
"""The workspace that MLflow's UI is in, or empty; None for any other client."""
