"""What `make cluster` does with a cluster that is there already."""

from dataclasses import dataclass, field
from pathlib import Path

import pytest
from trainyard_cluster import kind, paths


@dataclass
class FakeEngine:
    """An engine whose node starts, or does not."""

    starts: bool
    environment: dict[str, str] = field(default_factory=dict)
    asked: list[tuple[str, ...]] = field(default_factory=list)

    def output(self, *words: str) -> str:
        self.asked.append(words)
        return words[-1] if self.starts else ""


@dataclass
class FakeKind:
    """What kind was asked for; its cluster answers once it has been looked at *patience* times."""

    engine: FakeEngine
    patience: int
    did: list[str] = field(default_factory=list)

    def answers(self) -> bool:
        self.patience -= 1
        return self.patience < 0 and paths.kubeconfig().exists()

    def output(self, *words: str | Path, **_: object) -> str:
        self.did.append(str(words[1]))
        paths.kubeconfig().write_text("{}")
        return ""


@pytest.fixture
def there(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> FakeKind:
    """Return a cluster that is there; its node is to be started, and then takes two looks."""
    made = FakeKind(FakeEngine(starts=True), patience=2)
    (tmp_path / "kubeconfig").write_text("{}")
    monkeypatch.setattr(paths, "kubeconfig", lambda: tmp_path / "kubeconfig")
    monkeypatch.setattr(kind, "provider", lambda: made.engine)
    monkeypatch.setattr(kind, "exists", lambda: True)
    monkeypatch.setattr(kind, "answers", made.answers)
    monkeypatch.setattr(kind, "output", made.output)
    monkeypatch.setattr(kind.tools, "kind", lambda: Path("/bin/kind"))
    monkeypatch.setattr(kind.time, "sleep", lambda _: None)
    monkeypatch.setattr(kind, "down", lambda: made.did.append("down"))
    monkeypatch.setattr(kind, "MODULES", tmp_path / "modules")
    monkeypatch.setattr(kind, "node_image", lambda: None)
    monkeypatch.setattr(kind, "run", lambda *words, **_: made.did.append(words[1]))
    return made


def test_a_cluster_that_answers_is_left_alone(there: FakeKind) -> None:
    there.patience = 0

    kind.up()

    assert (there.did, there.engine.asked) == ([], [])


def test_a_node_that_the_machine_s_restart_stopped_is_started_and_nothing_is_lost(
    there: FakeKind,
) -> None:
    kind.up()

    assert there.engine.asked == [("start", paths.NODE)]
    assert there.did == []


def test_a_cluster_that_another_cache_made_is_taken_with_its_kubeconfig(there: FakeKind) -> None:
    paths.kubeconfig().unlink()

    kind.up()

    assert there.did == ["export"]


def test_a_node_that_does_not_start_is_made_anew_at_once(there: FakeKind) -> None:
    there.engine.starts = False

    kind.up()

    assert there.did == ["down", "create"]


def test_a_node_that_starts_but_never_answers_is_made_anew_in_the_end(
    there: FakeKind, monkeypatch: pytest.MonkeyPatch
) -> None:
    there.patience = 10**9
    seconds = iter(range(0, 10**6, 10))
    monkeypatch.setattr(kind.time, "monotonic", lambda: next(seconds))

    kind.up()

    assert there.did == ["down", "create"]
