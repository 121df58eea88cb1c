"""In which lane a request is looked at: Runs wait for no people, the operator for nobody."""

from trainyard_api.contract import TRACKING_API

from trainyard_tracking.auth.rules import Access, Match
from trainyard_tracking.lanes import Lane, Lanes
from trainyard_tracking.tokens import is_ours


def first_lane(lanes: Lanes, match: Match | None, token: str, *, is_operator: bool) -> Lane:
    """Tell in which lane it is found out who asks: nobody is in the operator's but the operator."""
    if is_operator and match is not None:
        return lane_of(lanes, match, token, is_operator=True)
    if match is not None and _is_operators(match) and not is_ours(token):
        return lanes.names
    return lanes.door if is_ours(token) else lanes.people


def lane_of(lanes: Lanes, match: Match, token: str, *, is_operator: bool) -> Lane:
    """Tell in which lane a request is looked at and, if it is for one of our routes, answered."""
    if not match.template.startswith(f"{TRACKING_API}/"):
        return lanes.door if is_ours(token) else lanes.people
    if not is_operator or not _is_operators(match):
        return lanes.content
    # The first is the route that records a Run.
    writes = match.template.endswith(("/runs/{}", "/finish"))
    return lanes.records if writes else lanes.calls


def _is_operators(match: Match) -> bool:
    """Tell whether a route is one that the operator calls for what it does itself."""
    is_private = match.template.startswith(f"{TRACKING_API}/")
    return match.rule.people is Access.OPERATOR or (
        is_private and match.template.endswith("/summary")
    )
