import itertools
import json
import resource
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import soundfile
import torch
from torch import Tensor

from spatialqa.cli.preview import show
from spatialqa.core.audio_io import write_scene_wav
from spatialqa.dataset.reading import read_rows
from spatialqa.errors import ClipError, DatasetError, RecipeError
from spatialqa.models.bat.answer import answer
from spatialqa.models.bat.answerer import Answerer
from spatialqa.models.bat.checkpoint import pack
from spatialqa.models.bat.config import BATConfig
from spatialqa.models.bat.llm import tiny_llm, tiny_tokenizer
from spatialqa.models.bat.model import BAT
from spatialqa.models.bat.questions import open_scenes
from spatialqa.models.bat.recipe import AnswerRecipe
from spatialqa.models.bat.recording import fit, listen, read_binaural
from spatialqa.models.data.loading import loader
from spatialqa.models.training.checkpoint import ModelError, save
from spatialqa.scoring.score import score
from tests.fixtures.kills import call, kill_when
from tests.models.test_questions_data import encoder_of

GREEDY = AnswerRecipe(beams=1, max_new_tokens=6, batch_size=4, threads=1, device="cpu")


@pytest.fixture(scope="session")
def answered(small: Path, model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    to = tmp_path_factory.mktemp("answers") / "preds.jsonl"
    answer(small, model, to, GREEDY)
    return to


def lines(path: Path) -> dict[str, str]:
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    assert len({row["qa_id"] for row in rows}) == len(rows)
    return {row["qa_id"]: row["prediction"] for row in rows}


# --- a data set


def test_every_question_of_the_split_gets_an_answer_that_score_reads(small: Path, answered: Path) -> None:
    asked = {row["qa_id"] for path in sorted((small / "qa").glob("test-*")) for row in read_rows(path)}
    assert lines(answered).keys() == asked
    report = score(answered, small, text_model="none")
    assert report.answered == report.questions == len(asked)
    assert report.unknown.count == report.duplicates.count == 0


def test_answers_depend_on_what_is_heard_and_controls_hear_less(
    small: Path, model: Path, answered: Path, tmp_path: Path
) -> None:
    assert len(set(lines(answered).values())) > 5
    silent = tmp_path / "silent.jsonl"
    answer(small, model, silent, replace(GREEDY, silence=True))
    by_question: dict[str, set[str]] = {}
    for path in (small / "qa").glob("test-*"):
        for row in read_rows(path):
            by_question.setdefault(row["question"], set()).add(lines(silent)[row["qa_id"]])
    assert all(len(said) == 1 for said in by_question.values())
    assert lines(silent) != lines(answered)
    waveform = torch.randn(1, 2, 32000, generator=torch.Generator().manual_seed(0))
    both, swapped, same = (Answerer(model, replace(GREEDY, ears=ears)) for ears in ("both", "swapped", "same"))
    assert torch.equal(both.hear(waveform.flip(1)), swapped.hear(waveform))
    assert torch.equal(same.hear(waveform.flip(1)), same.hear(waveform))
    assert not torch.equal(both.hear(waveform.flip(1)), both.hear(waveform))


def test_an_answer_is_what_follows_the_rationale(
    small: Path, model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    said = itertools.cycle(["left 1m; right 0.5m -> left, asked right -> No", "Yes", "1m; 2m ->", "left 1m; left"])
    monkeypatch.setattr(BAT, "generate", lambda _self, _tokens, questions, *_: [next(said) for _ in questions])
    answer(small, model, tmp_path / "p.jsonl", GREEDY)
    rows = [json.loads(line) for line in (tmp_path / "p.jsonl").read_text().splitlines()]
    assert {(row["prediction"], row.get("rationale")) for row in rows} == {
        ("No", "left 1m; right 0.5m -> left, asked right"),
        ("Yes", None),
        ("", "1m; 2m"),
        ("left 1m; left", None),
    }
    assert score(tmp_path / "p.jsonl", small, text_model="none").answered == len(rows)
    soundfile.write(tmp_path / "a.wav", np.zeros((16000, 2)), 16000)
    assert {listen(tmp_path / "a.wav", "Is it?", model, GREEDY) for _ in range(4)} == {
        row["prediction"] for row in rows
    }


def test_a_run_that_is_killed_goes_on_and_gives_the_same_answers(
    small: Path, model: Path, answered: Path, tmp_path: Path
) -> None:
    to = tmp_path / "preds.jsonl"
    command = call(answer, small, model, to, GREEDY)
    kill_when(lambda: to.is_file() and to.read_bytes().count(b"\n") > 3, command)
    assert 0 < to.read_bytes().count(b"\n") < len(lines(answered))
    summary = answer(small, model, to, GREEDY)
    assert lines(to) == lines(answered)
    assert summary.answers == len(lines(answered))
    assert 0 < summary.before < summary.answers


def test_a_line_that_was_cut_short_is_made_again(small: Path, model: Path, answered: Path, tmp_path: Path) -> None:
    to = tmp_path / "preds.jsonl"
    to.write_bytes(answered.read_bytes()[:-300])
    (tmp_path / "preds.jsonl.run.json").write_bytes((answered.parent / "preds.jsonl.run.json").read_bytes())
    answer(small, model, to, GREEDY)
    assert lines(to) == lines(answered)
    before = to.stat().st_mtime_ns
    assert answer(small, model, to, GREEDY).before == len(lines(answered))
    assert to.stat().st_mtime_ns == before


def test_types_and_scenes_are_chosen(small: Path, model: Path, tmp_path: Path) -> None:
    answer(small, model, tmp_path / "e.jsonl", replace(GREEDY, types=("E",), limit=2))
    said = lines(tmp_path / "e.jsonl")
    rows = [row for path in sorted((small / "qa").glob("test-*")) for row in read_rows(path)]
    chosen = [row for row in rows if row["qa_id"] in said]
    assert {row["type"] for row in chosen} == {"E"}
    assert len({row["scene_id"] for row in chosen}) == 2


def test_answers_of_another_model_or_options_are_not_mixed(
    small: Path, model: Path, answered: Path, tmp_path: Path
) -> None:
    with pytest.raises(DatasetError, match=r"holds other answers \(recipe.beams was 1 and is 2\)"):
        answer(small, model, answered, replace(GREEDY, beams=2))
    (tmp_path / "mine.jsonl").write_text("notes\n")
    with pytest.raises(DatasetError, match="holds other answers"):
        answer(small, model, tmp_path / "mine.jsonl", GREEDY)
    assert (tmp_path / "mine.jsonl").read_text() == "notes\n"


def test_a_full_disk_is_one_line_and_the_same_command_goes_on(
    small: Path, model: Path, answered: Path, tmp_path: Path
) -> None:
    to = tmp_path / "preds.jsonl"
    room = answered.stat().st_size - 100
    assert (answered.parent / "preds.jsonl.run.json").stat().st_size < room  # so that it is the answers that fail
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (room, hard))
    try:
        with pytest.raises(DatasetError, match="cannot be written .* the same command continues"):
            answer(small, model, to, GREEDY)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert to.stat().st_size == room
    summary = answer(small, model, to, GREEDY)
    assert 0 < summary.before < summary.answers
    assert lines(to) == lines(answered)


def test_what_training_knew_is_heard_in_answering(small: Path, model: Path, tmp_path: Path) -> None:
    content = torch.load(model / "best.pt", weights_only=True)
    waveform = torch.randn(1, 2, 32000, generator=torch.Generator().manual_seed(0))
    plain = Answerer(model, GREEDY)
    for changes, heard in (
        ({"ears": "same"}, waveform.mean(1, keepdim=True).expand(-1, 2, -1)),
        ({"silence": True}, torch.zeros_like(waveform)),
    ):
        torch.save(content | {"known": content["known"] | changes}, tmp_path / "best.pt")
        assert torch.equal(Answerer(tmp_path, GREEDY).hear(waveform), plain.hear(heard))
        assert not torch.equal(plain.hear(heard), plain.hear(waveform))
        for ears in ("swapped", "same"):
            with pytest.raises(RecipeError, match=f"so --ears {ears} has no effect: leave it out"):
                Answerer(tmp_path, replace(GREEDY, ears=ears))
    assert Answerer(tmp_path, replace(GREEDY, silence=True))


def test_a_model_is_not_asked_in_silence_about_houses_that_it_was_trained_in(
    small: Path, model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = sorted((small / "scenes").glob("test-*"))[0]
    row = next(iter(read_rows(path, ["room_set", "house_id"])))
    content = torch.load(model / "best.pt", weights_only=True)
    content["known"]["houses"] = ["elsewhere/0", f"{row['room_set']}/{row['house_id']}"]
    torch.save(content, tmp_path / "best.pt")
    answer(small, tmp_path, tmp_path / "p.jsonl", replace(GREEDY, limit=1))
    assert "scenes have a house or a clip that the model was trained on; --unseen leaves them out" in " ".join(
        capsys.readouterr().err.split()
    )


def test_what_a_file_says_of_its_training_is_not_trusted(model: Path, tmp_path: Path) -> None:
    content = torch.load(model / "best.pt", weights_only=True)
    wrong: list[tuple[dict[str, Any], str]] = [
        ({"bat": None}, "holds no BAT"),
        ({"known": 3}, "does not say what it was trained on"),
        ({"known": {"n_samples": 10**15}}, "cannot have been trained with n_samples 1000000000000000"),
        ({"known": {"n_samples": 2.5}}, "with n_samples 2.5"),
        ({"known": {"n_samples": -1}}, "with n_samples -1"),
        ({"known": {"ears": "four"}}, "with ears 'four'"),
        ({"known": {"ears": ["both"]}}, "with ears"),
        ({"known": {"silence": "no"}}, "with silence 'no'"),
        ({"known": {"houses": 7}}, "with houses 7"),
        ({"known": {"houses": [["a"]]}}, "with houses"),
        ({"known": {"houses": [], "clips": [0.5]}}, "with clips"),
        ({"known": {"houses": [], "clips": torch.zeros(2)}}, "with clips"),
    ]
    recording(tmp_path / "own.wav", 2.0, 16000)
    for changes, words in wrong:
        torch.save(content | changes, tmp_path / "best.pt")
        with pytest.raises(ModelError, match=words) as caught:
            listen(tmp_path / "own.wav", "Where is it?", tmp_path, GREEDY)
        assert "\n" not in str(caught.value)
    torch.save({name: value for name, value in content.items() if name != "known"}, tmp_path / "best.pt")
    assert isinstance(listen(tmp_path / "own.wav", "Where is it?", tmp_path, GREEDY), str)


def test_a_language_model_that_has_moved_is_asked_for(model: Path, tmp_path: Path) -> None:
    tokenizer = tiny_tokenizer()
    torch.manual_seed(0)
    tiny_llm(len(tokenizer), 16, 1, 2).save_pretrained(tmp_path / "llm")
    tokenizer.save_pretrained(tmp_path / "llm")
    shape = BATConfig.from_dict(torch.load(model / "best.pt", weights_only=True)["bat"])
    config = replace(shape, llm=str(tmp_path / "llm"), lora_rank=2)
    save(tmp_path / "best.pt", pack(BAT(config), encoder_of()))
    recording(tmp_path / "own.wav", 2.0, 16000)
    ask = tmp_path / "own.wav", "Where is it?", tmp_path
    before = listen(*ask, GREEDY)
    (tmp_path / "llm").rename(tmp_path / "elsewhere")
    with pytest.raises(ModelError, match="llm: no such folder; where its language model has moved, name .* --llm"):
        listen(*ask, GREEDY)
    assert listen(*ask, replace(GREEDY, llm=str(tmp_path / "elsewhere"))) == before
    with pytest.raises(ModelError, match="nowhere: no such folder; where"):
        listen(*ask, replace(GREEDY, llm=str(tmp_path / "nowhere")))


def test_what_is_no_model_is_refused_in_one_line(small: Path, model: Path, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="no such file"):
        answer(small, tmp_path, tmp_path / "p.jsonl", GREEDY)
    torch.save({"model": {}}, tmp_path / "other.pt")
    with pytest.raises(ModelError, match="holds no BAT"):
        answer(small, tmp_path / "other.pt", tmp_path / "p.jsonl", GREEDY)
    content = torch.load(model / "best.pt", weights_only=True)
    torch.save(content | {"encoder": None}, tmp_path / "deaf.pt")
    with pytest.raises(ModelError, match="has no encoder"):
        answer(small, tmp_path / "deaf.pt", tmp_path / "p.jsonl", GREEDY)
    with pytest.raises(RecipeError, match="'Z' is not one of A, B, C, D, E, X"):
        replace(GREEDY, types=("Z",))
    assert not (tmp_path / "p.jsonl").exists()


# --- a recording


def recording(path: Path, seconds: float, rate: int, channels: int = 2) -> npt.NDArray[np.float32]:
    """Write a tone that is louder on the left, and return it."""
    t = np.arange(round(seconds * rate)) / rate
    audio = np.stack([0.2 * np.sin(2 * np.pi * 500 * t), 0.05 * np.sin(2 * np.pi * 500 * t)], axis=1)[:, :channels]
    soundfile.write(path, audio, rate, subtype="FLOAT" if path.suffix == ".wav" else "PCM_24")
    return audio.T.astype(np.float32)


def test_a_recording_of_any_rate_and_length_is_heard(
    model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    recording(tmp_path / "own.wav", 2.0, 16000)
    recording(tmp_path / "studio.flac", 2.0, 48000)
    recording(tmp_path / "short.wav", 0.5, 16000)
    recording(tmp_path / "long.wav", 3.0, 16000)
    question = "Where is the sound, and how far away is it?"
    listen(tmp_path / "own.wav", question, model, GREEDY)
    assert capsys.readouterr().err == ""
    assert isinstance(listen(tmp_path / "studio.flac", question, model, GREEDY), str)
    listen(tmp_path / "short.wav", question, model, GREEDY)
    assert "is 0.5 s long; silence follows, up to the 2 s that the model was trained with" in capsys.readouterr().err
    listen(tmp_path / "long.wav", question, model, GREEDY)
    assert "is 3.0 s long; the model hears the loudest 2 s of it, from 0.0 s on" in capsys.readouterr().err


def test_a_scene_that_preview_writes_gets_the_answer_that_it_gets_in_its_data_set(
    small: Path, model: Path, answered: Path, tmp_path: Path
) -> None:
    rows = [row for file in sorted((small / "qa").glob("test-*")) for row in read_rows(file)]
    scene_id = rows[0]["scene_id"]
    show(small, 1, scene_id, 0, tmp_path)
    audio, rate = soundfile.read(tmp_path / f"{scene_id}.wav", dtype="float32")
    at_ears = audio * np.float32(10 ** (-open_scenes([small], "test").index.gain_db[0] / 20))
    soundfile.write(tmp_path / "ears.wav", at_ears, rate, subtype="FLOAT")
    soundfile.write(tmp_path / "loud.wav", at_ears * 2.0, rate, subtype="FLOAT")
    for row in (row for row in rows if row["scene_id"] == scene_id):
        wanted = lines(answered)[row["qa_id"]]
        assert listen(tmp_path / f"{scene_id}.wav", row["question"], model, GREEDY) == wanted
        assert listen(tmp_path / "ears.wav", row["question"], model, GREEDY) == wanted
        assert listen(tmp_path / "loud.wav", row["question"], model, GREEDY, 20 * np.log10(2)) == wanted


def test_what_the_model_hears_has_the_level_at_the_ears(
    small: Path, model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    heard: list[Tensor] = []

    def hear(_: Answerer, waveform: Tensor) -> Tensor:
        heard.append(waveform)
        return torch.zeros(1, 9, 64)

    monkeypatch.setattr(Answerer, "hear", hear)
    monkeypatch.setattr(Answerer, "answer", lambda *_: ["Yes"])
    data = open_scenes([small], "test")
    scene_id = str(data.index.scene_id[0])
    show(small, 1, scene_id, 0, tmp_path)
    wav = tmp_path / f"{scene_id}.wav"
    listen(wav, "Is it?", model, GREEDY)
    stored = next(iter(loader(data, 1, 0))).waveform
    torch.testing.assert_close(heard[0], stored, rtol=1e-5, atol=1e-6)
    listen(wav, "Is it?", model, GREEDY, 0.0)  # what is given counts
    torch.testing.assert_close(heard[1], stored * 10 ** (data.index.gain_db[0] / 20), rtol=1e-5, atol=1e-6)
    for gain in (float("nan"), 121.0):
        with pytest.raises(ClipError, match=r"a gain of (nan|121) dB is not possible"):
            listen(wav, "Is it?", model, GREEDY, gain)


def test_a_level_that_cannot_be_that_at_the_ears_is_said(
    model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def warning(scale: float) -> str:
        audio = np.stack([np.sin(np.arange(32000) / 5.0), 0.3 * np.sin(np.arange(32000) / 5.0)], axis=1) * scale
        soundfile.write(tmp_path / "own.wav", audio, 16000, subtype="FLOAT")
        listen(tmp_path / "own.wav", "How far is it?", model, GREEDY)
        return " ".join(capsys.readouterr().err.split())

    assert "is silent" in warning(0.0)
    assert "peaks at full scale, as what was normalised or clipped does" in warning(1.0)
    assert warning(0.5) == ""
    assert warning(1.5) == ""  # nor clipped nor normalised, but as loud as that
    audio = np.full((2, 32000), 0.99, dtype=np.float32)
    write_scene_wav(tmp_path / "changed.wav", audio, 16000, -24.0)  # as a tool leaves it that normalises
    listen(tmp_path / "changed.wav", "How far is it?", model, GREEDY)
    assert "peaks at full scale" in capsys.readouterr().err
    listen(tmp_path / "changed.wav", "How far is it?", model, GREEDY, gain_db=-24.0)
    assert "peaks" not in capsys.readouterr().err


def test_the_loudest_stretch_of_a_long_recording_is_taken() -> None:
    waveform = np.zeros((2, 3000), dtype=np.float32)
    waveform[1, 1700:2300] = 1.0
    heard = fit(waveform, 1000, 1000, Path("a.wav"))
    assert heard.shape == (2, 1000)
    assert heard[1].sum() == 600.0
    padded = fit(waveform[:, 1700:1800], 1000, 1000, Path("a.wav"))
    assert padded[1, :100].all()
    assert not padded[:, 100:].any()


def test_what_is_no_binaural_recording_is_refused_in_one_line(tmp_path: Path) -> None:
    recording(tmp_path / "mono.wav", 1.0, 16000, channels=1)
    with pytest.raises(ClipError, match="has 1 channel, and the model listens with two ears"):
        read_binaural(tmp_path / "mono.wav")
    (tmp_path / "text.wav").write_text("no sound")
    with pytest.raises(ClipError, match="cannot be read as sound"):
        read_binaural(tmp_path / "text.wav")
    with pytest.raises(ClipError, match="cannot be read as sound"):
        read_binaural(tmp_path / "nothing.wav")
    soundfile.write(tmp_path / "empty.wav", np.zeros((0, 2)), 16000)
    with pytest.raises(ClipError, match="is empty"):
        read_binaural(tmp_path / "empty.wav")
    soundfile.write(tmp_path / "nan.wav", np.full((10, 2), np.nan), 16000, subtype="FLOAT")
    with pytest.raises(ClipError, match="samples that are not numbers"):
        read_binaural(tmp_path / "nan.wav")
    soundfile.write(tmp_path / "hours.flac", np.zeros((601 * 8000, 2), dtype=np.int16), 8000)
    with pytest.raises(ClipError, match="longer than 10 minutes"):
        read_binaural(tmp_path / "hours.flac")
