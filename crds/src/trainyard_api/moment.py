"""Moments as Kubernetes writes them. Pure, and without pydantic: the operator needs no models."""

from datetime import UTC, datetime


def rfc3339(moment: datetime) -> str:
    """Return a moment as Kubernetes writes it: UTC, whole seconds, Z."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
