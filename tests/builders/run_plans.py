"""Builders for tests of the Run kind's plan: the status a Run has come to, and what a plan says."""

from datetime import timedelta
from typing import Any

from trainyard_operator.engine.plan import Object, Plan

from builders import given
from builders.stage import condition_of

LATER = timedelta(minutes=1)


def finished(plan: Plan) -> Object:
    return condition_of(plan, "Finished")


def kinds_of(things: tuple[Any, ...]) -> list[str]:
    return [type(each).__name__ for each in things]


def attempt(number: int = 1, **more: Any) -> Object:
    return {"number": number, "job": f"r-a{number}", "pod": f"r-a{number}-0-x"} | more


def running_status(**more: Any) -> Object:
    entry = attempt(startTime="2026-11-24T12:59:00Z")
    return {"phase": "Running", "attempts": [entry], "attemptCount": 1} | more


def ended_status(reason: str = "Completed", phase: str = "Succeeded", **more: Any) -> Object:
    at = "2026-11-24T12:59:30Z"
    return {
        "phase": phase,
        "attempts": [attempt(completionTime=at, reason=reason)],
        "completionTime": at,
        "conditions": [
            given.condition("Finished"),
            given.condition("Recorded", "False", "Recording"),
        ],
    } | more
