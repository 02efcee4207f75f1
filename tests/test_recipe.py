import dataclasses
import math
import typing
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner

from spatialqa.cli.main import cli
from spatialqa.cli.options import resolve_model
from spatialqa.core.files import digest
from spatialqa.core.recipe_file import read_recipe
from spatialqa.core.recipe_keys import build, with_keys_since
from spatialqa.errors import RecipeError
from spatialqa.generation.recipe import RenderRecipe
from spatialqa.models.bat.recipe import AnswerRecipe, BATRecipe
from spatialqa.models.spatial_ast.recipe import TrainRecipe
from spatialqa.qa.ask_options import AskOptions
from spatialqa.qa.recipe import QaRecipe

REPO = Path(__file__).parents[1]
LATER = {
    "directions",
    "heights",
    "body_radius_m",
    "fill",
    "inaudible",
    "audible_dbfs",
}  # other values hold for data sets from before there were these keys
PAPER_HASH = "e2929c7f5d1387694d10b89aa0a29f2350e9774cb8c4c53e1dd4587587f7e0d6"


@pytest.mark.parametrize("path", sorted((REPO / "spatialqa/recipes").glob("*.yaml")), ids=lambda path: path.name)
def test_every_bundled_recipe_loads(path: Path) -> None:
    sections = read_recipe(str(path))
    build(RenderRecipe, sections.get("render", {}), path.name)
    build(QaRecipe, sections.get("make-qa", {}), path.name)
    resolve_model((TrainRecipe, BATRecipe), "train", str(path), {})
    build(AnswerRecipe, sections.get("answer", {}), path.name)
    assert sections == read_recipe(path.stem)


@pytest.mark.parametrize(("command", "cls"), [("render", RenderRecipe), ("make-qa", QaRecipe)])
def test_every_key_is_an_option_and_the_other_way_round(command: str, cls: type) -> None:
    keys = {field.name for field in dataclasses.fields(cls)}
    options = {parameter.name for parameter in cli.commands[command].params}
    assert options - keys <= {"out", "recipe", "source", "as_json", "help_all"}
    assert keys <= options


def test_train_baseline_has_the_keys_of_both_models_and_takes_those_of_the_one_asked_for(tmp_path: Path) -> None:
    options = {parameter.name for parameter in cli.commands["train-baseline"].params}
    keys = [{field.name for field in dataclasses.fields(cls)} for cls in (TrainRecipe, BATRecipe)]
    assert options == keys[0] | keys[1] | {"outs", "recipe", "evaluate"}
    text = " ".join(CliRunner().invoke(cli, ["train-baseline", "--help"]).output.split())
    assert "--queries INTEGER number of learned queries" in text.partition("Options of bat only:")[2]
    assert "over all processes [64]; (bat) questions per step, over all" in text
    both = (TrainRecipe, BATRecipe)
    assert isinstance(resolve_model(both, "train", None, {"queries": None}), TrainRecipe)
    own = resolve_model(both, "train", None, {"model": "bat", "queries": "8", "preset": None})
    assert own == BATRecipe(queries=8)
    file = tmp_path / "own.yaml"
    file.write_text("train: {model: bat, batch-size: 4}")
    assert resolve_model(both, "train", str(file), {}) == BATRecipe(batch_size=4)
    with pytest.raises(RecipeError, match="--preset is not a key of the model bat"):
        resolve_model(both, "train", str(file), {"preset": "tiny"})


def test_qa_defaults_are_those_of_ask() -> None:
    for field in dataclasses.fields(AskOptions):
        assert getattr(QaRecipe(), field.name) == getattr(AskOptions(), field.name)


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({"scenes": "12"}, 12),
        ({"scenes": 12}, 12),
        ({"gain-db": "-20"}, -20.0),
        ({"gain_db": -20}, -20.0),
        ({"sources_per_scene": "1=0.5,3=0.5"}, {1: 0.5, 3: 0.5}),
        ({"sources_per_scene": {"1": 0.5, "3": 0.5}}, {1: 0.5, 3: 0.5}),
        ({"home_kinds": "shoebox, l_shape"}, ["shoebox", "l_shape"]),
        (
            {"engine_config": "indirect_ray_count=500,diffraction=false"},
            {"indirect_ray_count": 500, "diffraction": False},
        ),
        ({"save_rirs": True}, True),
        ({"workers": None}, None),
    ],
)
def test_typed_and_written_values_mean_the_same(values: dict[str, Any], expected: object) -> None:
    name = next(iter(values)).replace("-", "_")
    found = getattr(build(RenderRecipe, values, "here"), name)
    assert found == expected
    assert type(found) is type(expected)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"scense": 4}, "did you mean 'scenes'"),
        ({"scenes": 0}, "scenes = 0 must be at least 1"),
        ({"scenes": 2.5}, "whole number"),
        ({"scenes": "many"}, "whole number"),
        ({"gain_db": "loud"}, "must be a number"),
        ({"gain_db": float("nan")}, "finite"),
        ({"preset": "slow"}, "one of fast, reference"),
        ({"splits": "0.5,0.6,0.1"}, "add to 1"),
        ({"splits": "a,b,c"}, "add to 1"),
        ({"yaw": "north"}, "number of degrees"),
        ({"sources_per_scene": {1: 0.0}}, "above 0"),
        ({"sources_per_scene": {0: 1.0}}, "1 or more"),
        ({"sources_per_scene": {9: 1.0}}, "sources_per_group"),
        ({"min_distance_m": 5, "max_distance_m": 4}, "less than"),
        ({"onset_max_s": 10}, "less than duration_s"),
        ({"save_rirs": "yes"}, "true or false"),
        ({"licences": 3}, "list"),
    ],
)
def test_a_bad_value_is_one_clear_line(values: dict[str, Any], message: str) -> None:
    with pytest.raises(RecipeError, match=message) as caught:
        build(RenderRecipe, values, "recipe mine.yaml")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("cls", [RenderRecipe, QaRecipe, TrainRecipe, BATRecipe, AnswerRecipe])
def test_every_number_has_bounds_that_are_finite_and_hold(cls: type) -> None:
    hints = typing.get_type_hints(cls)
    for field in dataclasses.fields(cls):
        if "int" not in str(hints[field.name]) and "float" not in str(hints[field.name]):
            continue
        least, most = field.metadata["minimum"], field.metadata["maximum"]
        assert math.isfinite(least)
        assert math.isfinite(most)
        values = (least - 1, most + 1, 10**400) if not str(hints[field.name]).startswith("dict") else ()
        for value in values:
            with pytest.raises(RecipeError, match=rf"{field.name} = .* must be (at (least|most)|a (whole )?number)"):
                build(cls, {field.name: value}, "here")


@pytest.mark.parametrize(
    ("cls", "values", "message"),
    [
        (RenderRecipe, {"sample_rate": 1}, r"sample_rate = 1 must be at least 1,000 Hz$"),
        (RenderRecipe, {"gain_db": 61}, r"at most 60 dB$"),
        (RenderRecipe, {"clip_rms_dbfs": 1}, r"at most 0 dBFS$"),
        (RenderRecipe, {"max_distance_m": 1e300}, r"at most 1,000 m$"),
        (QaRecipe, {"relation_margin_deg": 200}, r"at most 180 degrees$"),
        (BATRecipe, {"time_limit_min": -1}, r"at least 0 minutes$"),
    ],
)
def test_the_message_has_the_unit(cls: type, values: dict[str, Any], message: str) -> None:
    with pytest.raises(RecipeError, match=message):
        build(cls, values, "here")


def test_bounds_hold_for_recipes_that_code_makes_too() -> None:
    with pytest.raises(RecipeError, match=r"sample_rate = 5 must be at least 1,000 Hz"):
        RenderRecipe(sample_rate=5)
    with pytest.raises(RecipeError, match="at most 1,000 m"):
        dataclasses.replace(RenderRecipe(), max_distance_m=1e9)


def test_where_and_how_to_run_are_not_identity() -> None:
    here = RenderRecipe(clips="folder:/a", workers=1).identity()
    there = RenderRecipe(clips="folder:/b", workers=9, ray_address="auto").identity()
    assert digest(here) == digest(there)
    assert digest(RenderRecipe(seed=1).identity()) != digest(RenderRecipe(seed=2).identity())
    assert digest(RenderRecipe(clips="foley").identity()) != digest(here)


def test_old_values_of_later_keys_keep_the_identity_that_recipes_had() -> None:
    """Taken from run.json of a data set that was made before there were these keys."""
    path = REPO / "spatialqa/recipes" / "spatialsoundqa.yaml"
    paper = build(RenderRecipe, read_recipe(str(path))["render"], path.name)
    assert not LATER & set(paper.identity())
    assert digest(paper.identity()) == PAPER_HASH
    stored = {name: value for name, value in dataclasses.asdict(paper).items() if name not in LATER}
    assert build(RenderRecipe, with_keys_since(RenderRecipe, stored), "run.json") == paper
    assert RenderRecipe().identity()["directions"] == "even"
    for given in (RenderRecipe(placements="table.csv"), RenderRecipe(rooms="bank:rirs")):  # their places are given
        assert not {"directions", "body_radius_m"} & set(given.identity())
    by_hand = RenderRecipe(placements="table.csv").identity()  # rows say when sounds begin; they play once
    assert (by_hand["clip_start"], by_hand["onset_max_s"], by_hand.get("fill")) == ("zero", 0.0, None)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("render: {scenes: 1", "not readable as YAML"),
        ("rendering: {}", "unknown section"),
        ("render: 3", "mapping"),
        ("- 1", "mapping"),
    ],
)
def test_a_bad_recipe_file_is_one_clear_line(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "r.yaml"
    path.write_text(text)
    with pytest.raises(RecipeError, match=message) as caught:
        read_recipe(str(path))
    assert "\n" not in str(caught.value)


def test_an_unknown_recipe_names_the_bundled_ones() -> None:
    with pytest.raises(RecipeError, match=r"demo\.yaml"):
        read_recipe("dmeo")


def test_help_lists_every_default() -> None:
    text = CliRunner().invoke(cli, ["render", "--help-all"]).output
    assert "--scenes-per-group" in text
    assert "[64]" in text


def test_recipes_are_plain_yaml() -> None:
    for path in (REPO / "spatialqa/recipes").glob("*.yaml"):
        assert "description" in yaml.safe_load(path.read_text())
