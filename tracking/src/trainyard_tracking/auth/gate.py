"""Decides about one request: who asks, whether the rule lets them, what must change.

Synchronous and free of the wire; the door calls it in a thread because it may ask the
database or the API server.
"""

from dataclasses import dataclass

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from trainyard_api.contract import OPERATE_VERB, RUNS, TRACKING_API

from trainyard_tracking.auth.artifact_scope import check_path
from trainyard_tracking.auth.call import Call, Reply
from trainyard_tracking.auth.mlflow_rules import WORKSPACE
from trainyard_tracking.auth.ownership import Ownership
from trainyard_tracking.auth.rewriting import DEFAULT, use_own_default, without_places
from trainyard_tracking.auth.rules import Access, Match, Rule, Table
from trainyard_tracking.errors import Forbidden, NotSupported, Unauthenticated
from trainyard_tracking.identity import (
    DeploymentIdentity,
    Identity,
    Person,
    RunIdentity,
    VersionIdentity,
)
from trainyard_tracking.ledger import Ledger
from trainyard_tracking.living import Living
from trainyard_tracking.reviews import Permission, Reviews
from trainyard_tracking.tenants import Tenants
from trainyard_tracking.tokens import RunClaim, is_ours, verify

_MISSING = (
    "This needs a token. In a Run's pod MLFLOW_TRACKING_TOKEN is set; from outside use"
    " `trainyard proxy`, or send `Authorization: Bearer $(kubectl create token NAME)`"
)
_TRACES = "/traces"
OPERATOR_RIGHT = Permission(RUNS, OPERATE_VERB)


@dataclass(slots=True)
class Gate:
    """Everything that a decision needs."""

    table: Table
    key: Ed25519PublicKey
    ledger: Ledger
    reviews: Reviews
    ownership: Ownership
    tenants: Tenants
    living: Living

    def match(self, method: str, path: str) -> Match | None:
        return self.table.find(method, path)

    def identify(self, token: str) -> Identity:
        """Find out who is asking.

        Raises:
            Unauthenticated: no token, one that nobody vouches for, or one that has ended.
            NotFound: the namespace of a Run's token does not exist any more.
            Unavailable: the API server would have to be asked, and is away.
        """
        if not token:
            raise Unauthenticated(_MISSING)
        if not is_ours(token):
            return self.reviews.person(token)
        claim = verify(token, self.key)
        if isinstance(claim, RunClaim):
            # A namespace of that name that was made again sets the old one's Runs aside first.
            self.tenants.require(claim.namespace)
            return self.ledger.identify(claim)
        self.living.check(claim)
        return claim

    def decide(self, match: Match, call: Call, who: Identity) -> Reply | None:
        """Let the call through, changed where it must be, or answer it.

        Raises:
            Forbidden: the rule does not let this identity do this.
            NotFound: the namespace does not exist.
        """
        rule = match.rule
        self.permit(match, call, who)
        if call.is_in_namespace:
            self.tenants.require(call.namespace)
        if _TRACES in match.template:
            without_places(call)
        if rule.path is not None:
            check_path(call, rule.path, who, self.ownership)
        if isinstance(who, Person):
            return self._person(rule, call)
        if isinstance(who, RunIdentity) and rule.run:
            return rule.run(call, who, self.ownership)
        if isinstance(who, VersionIdentity) and rule.version:
            rule.version(call, who)
        elif isinstance(who, DeploymentIdentity) and rule.deployment:
            rule.deployment(call, who)
        return None

    def permit(self, match: Match, call: Call, who: Identity) -> None:
        """Refuse who may not call this route at all, whatever is in the body.

        Raises:
            Forbidden: the rule does not let this identity do this.
            NotSupported: nobody can.
        """
        rule = match.rule
        if isinstance(who, Person):
            self._permit(rule, call, who)
            if isinstance(rule.answer, str):
                raise NotSupported(rule.answer)
            return
        if isinstance(who, RunIdentity):
            check, kind = rule.run is not None, "Run"
        elif isinstance(who, VersionIdentity):
            check, kind = rule.version is not None, "ModelVersion"
        else:
            check, kind = rule.deployment is not None, "Deployment"
        if not check:
            raise Forbidden(f"The token of a {kind} does not allow {call.method} {call.path}")

    def is_known_operator(self, token: str) -> bool:
        """Tell whether a token was the operator's when it was last seen; asks nobody."""
        return self.reviews.had(token, OPERATOR_RIGHT)

    def _permit(self, rule: Rule, call: Call, who: Person) -> None:
        if rule.people is Access.NOBODY:
            raise Forbidden(f"{call.method} {call.path} is switched off on this service")
        for permission in _permissions(rule, call):
            if not self.reviews.may(who, permission):
                raise Forbidden(f"User {who.username!r} may not {permission}")

    def _person(self, rule: Rule, call: Call) -> Reply | None:
        if call.is_in_namespace and call.namespace != DEFAULT:
            use_own_default(call)
        return Reply(rule.answer) if isinstance(rule.answer, dict) else None


def _permissions(rule: Rule, call: Call) -> list[Permission]:
    if rule.people is Access.OPERATOR:
        return [OPERATOR_RIGHT]
    if isinstance(rule.people, Access):
        return []
    return [Permission(right.resource, right.verb, call.namespace) for right in rule.people]


def namespace_of(match: Match, who: Identity, *, asked: str) -> str:
    """Tell which namespace a request is about.

    That of a private route, or of a workspace, is in its path; a token of ours says its own; people
    say theirs in the workspace header.
    """
    if match.template.startswith(f"{TRACKING_API}/namespaces/"):
        return match.arguments[0]
    if isinstance(who, Person):
        return match.arguments[0] if match.template == WORKSPACE else asked.strip() or DEFAULT
    return who.namespace
