import os
from pathlib import Path

import pytest

from spatialqa.errors import TemplateError
from spatialqa.qa.built_in import BUILT_IN
from spatialqa.qa.templating import templates as templates_module
from spatialqa.qa.templating.template_check import check_templates
from spatialqa.qa.templating.templates import load_templates

BUNDLED = Path(templates_module.__file__).parents[2] / "templates"

OWN = """
type: A
answers: {classification: labels}
synonyms:
  hear: [hear, make out]
templates:
  classification:
    own-1: "What can you [hear]?"
    own-2: "What sounds {source} here?"
    own-3: "what can you make out?"
    own-4: "Is it loud?"
    own-5: "What [sound|noise] is this?"
    own-6: "What [sound|noise] is this?"
"""


def test_the_bundled_templates_raise_no_doubt() -> None:
    report = check_templates(BUNDLED)
    assert (report.problems, report.doubts) == ((), ())
    assert set(report.counts) == set(BUILT_IN.by_name)
    assert min(report.counts.values()) >= 25
    assert all(len(samples) == 3 for samples in report.samples.values())


def test_every_fault_of_a_folder_is_named(tmp_path: Path) -> None:
    (tmp_path / "own.yaml").write_text(OWN)
    (tmp_path / "second.yaml").write_text("type: Q")
    report = check_templates(tmp_path)
    assert len(report.problems) == 3
    assert "own-2: unknown slot {source}" in report.problems[0]
    assert "own-6: the same text as own-5" in report.problems[1]
    assert "second.yaml: type 'Q'" in report.problems[2]
    doubts = "\n".join(report.doubts)
    assert "own-1 and own-3 are near duplicates" in doubts
    assert "own-4: the expected answer is unclear" in doubts
    assert "classification: only 4 templates" in doubts
    assert report.counts == {"classification": 4}
    assert len(report.samples["classification"]) == 3


def test_a_stated_answer_must_be_the_right_one(tmp_path: Path) -> None:
    (tmp_path / "own.yaml").write_text(OWN.replace("labels}", "yes or no}"))
    (problem,) = check_templates(tmp_path).problems
    assert "classification is answered by 'labels', not 'yes or no'" in problem


MARK = "ran-by-a-template"


@pytest.mark.parametrize(
    "text",
    [
        f"type: !!python/object/apply:os.system ['touch {MARK}']",
        f"!!python/object/new:subprocess.Popen [['touch', '{MARK}']]",
        "type: !!python/name:os.system ''",
        "type: !include /etc/hostname",
        "a: &a [x,x,x,x]\nb: &b [*a,*a,*a,*a]\nc: [*b,*b,*b,*b]\ntype: A",
        "base: &base {x: 1}\ntype: A\ntemplates: {<<: *base}",
        OWN.replace("{source}", "{source.__class__.__init__.__globals__}"),
        OWN.replace("{source}", "{0.__class__}"),
        OWN.replace("{source}", "{{config}}"),
        OWN.replace("{source}", "%(source)s {source!r:>1000000000}"),
        "type: A\ntemplates: {classification: {x: [1, 2]}}",
        "type: A\ntemplates: {classification: {x: {y: z}}}",
        "{" * 5000,
        "type: A\n" + "#" * (1 << 20),
        "type: " + "9" * 5000,
    ],
)
def test_a_hostile_file_is_refused_and_runs_nothing(text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "own.yaml").write_text(text)
    with pytest.raises(TemplateError) as caught:
        load_templates(tmp_path)
    assert "\n" not in str(caught.value)
    assert check_templates(tmp_path).problems
    assert not (tmp_path / MARK).exists()


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs pipes")
def test_files_outside_the_folder_are_not_read(tmp_path: Path) -> None:
    secret, folder = tmp_path / "secret.txt", tmp_path / "templates"
    secret.write_text("password")
    folder.mkdir()
    (folder / "own.yaml").symlink_to(secret)
    with pytest.raises(TemplateError, match="not a regular file in this folder") as caught:
        load_templates(folder)
    assert "password" not in str(caught.value)
    (folder / "own.yaml").unlink()
    os.mkfifo(folder / "own.yaml")  # would block for ever if it were opened
    with pytest.raises(TemplateError, match="not a regular file"):
        check_templates(folder)
