"""What is generated from the types, and whether it is up to date."""

from pathlib import Path

import pytest
import yaml
from trainyard_api import generate
from trainyard_api.kinds import KINDS
from trainyard_api.reference import messages, reference, type_name


@pytest.fixture(scope="module")
def files() -> dict[str, str]:
    """All generated files."""
    return generate.generated_files()


def test_the_repository_has_what_would_be_generated() -> None:
    assert generate.drifted(generate.ROOT) == {}


def test_files_are_written_once_and_then_left_alone(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    written = generate.main(["--root", str(tmp_path)]), capsys.readouterr().out
    again = generate.main(["--root", str(tmp_path)]), capsys.readouterr().out

    assert written[0] == 0
    assert "wrote crds/runs.yaml" in written[1]
    assert again == (0, "")


def test_drift_is_named_with_its_remedy(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    generate.main(["--root", str(tmp_path)])
    (tmp_path / "crds/runs.yaml").write_text("edited by hand", "utf-8")
    capsys.readouterr()
    code = generate.main(["--check", "--root", str(tmp_path)])

    assert code == 1
    assert capsys.readouterr().err == (
        "crds/runs.yaml is out of date: run `make generate` and commit it\n"
    )
    assert (tmp_path / "crds/runs.yaml").read_text("utf-8") == "edited by hand"


def test_what_is_up_to_date_passes_the_check(tmp_path: Path) -> None:
    generate.main(["--root", str(tmp_path)])

    assert generate.main(["--check", "--root", str(tmp_path)]) == 0


@pytest.mark.parametrize("kind", KINDS)
def test_the_chart_has_the_same_definition_which_stays_when_it_goes(
    files: dict[str, str], kind: str
) -> None:
    plural = KINDS[kind].definition.plural
    template = files[f"charts/trainyard/templates/crds/{plural}.yaml"].splitlines()
    rendered = yaml.safe_load("\n".join(line for line in template if "{{" not in line))
    plain = yaml.safe_load(files[f"crds/{plural}.yaml"])

    assert template[1] == "{{- if .Values.crds.install }}"
    assert template[-1] == "{{- end }}"
    assert rendered["metadata"].pop("annotations") == {"helm.sh/resource-policy": "keep"}
    assert rendered == plain


def test_text_that_helm_would_take_for_a_template_is_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(KINDS["Run"], "__doc__", "A Run of {{ something }}.")

    with pytest.raises(ValueError, match="Helm would take for a template"):
        generate.generated_files()


def test_every_generated_file_says_so_first(files: dict[str, str]) -> None:
    firsts = {path: text.splitlines()[0] for path, text in files.items()}

    assert [path for path, line in firsts.items() if "Do not edit" not in line] == []


def test_the_reference_has_every_kind_and_rule() -> None:
    text = reference()

    assert [kind for kind in KINDS if f"\n## {kind}\n" not in text] == []
    assert "a Run never changes but for suspend, cancel and ttlSecondsAfterFinished" in text


def test_the_reference_says_types_as_people_do() -> None:
    rows = [line.split("|") for line in reference().splitlines() if line.startswith("| `")]
    types = {row[1].strip(): row[2].strip() for row in rows}

    assert types["`spec.command`"] == "list of string"
    assert types["`spec.parameters`"] == "map of string, number or boolean"
    assert types["`spec.resources.limits`"] == "map of integer or string"
    assert types["`status.completionTime`"] == "time"
    assert types["`spec.podTemplate.affinity`"] == "object"


def test_a_type_of_few_values_lists_them() -> None:
    assert type_name({"type": "string", "enum": ["a", "b"]}) == "`a` \\| `b`"


def test_messages_are_found_below_lists_and_maps() -> None:
    rule = {"x-kubernetes-validations": [{"message": "no"}]}

    assert list(messages({"items": rule, "additionalProperties": rule})) == ["no", "no"]
