"""The Python API: the example of the documentation, scenes by hand, data sets, and what is refused."""

import pickle
import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import torch
from torch.utils.data import DataLoader

import spatialqa as sqa
from spatialqa.core.audio_io import decode_flac, encode_flac
from spatialqa.rooms.room import Room as PlainRoom

REPO = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def room() -> sqa.Room:
    return sqa.open_rooms("procedural").load("home-000042")


@pytest.fixture(scope="module")
def me(room: sqa.Room) -> sqa.Listener:
    return sqa.Listener(room.sample_point(seed=3), yaw_deg=30)


@pytest.fixture(scope="module")
def knock(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("sounds") / "knock.wav"
    time = np.arange(16_000) / 16_000
    soundfile.write(path, np.random.default_rng(0).standard_normal(16_000) * 0.1 * np.exp(-20 * time), 16_000)
    return path


@pytest.fixture(scope="module")
def scene(room: sqa.Room, me: sqa.Listener, knock: Path) -> sqa.RenderedScene:
    sources = [
        sqa.Source("Bark", azimuth_deg=60, distance_m=1.5),
        sqa.Source(knock, label="Knock", azimuth_deg=-45, distance_m=2.5, onset_s=0.5),
    ]
    return sqa.render_scene(room, me, sources, duration_s=2)


def test_importing_the_package_loads_nothing_heavy() -> None:
    code = (
        "import sys, spatialqa as s; print({'numpy', 'scipy', 'pyarrow', 'msgspec', 'yaml'} & set(sys.modules), dir(s))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.startswith("set()")
    assert "render_scene" in done.stdout


def test_every_public_name_is_there_and_documented() -> None:
    for name in sqa.__all__:
        assert name == "__version__" or (getattr(sqa, name).__doc__ or "").strip(), name
    with pytest.raises(AttributeError, match="no attribute 'reder'"):
        _ = sqa.reder


def test_the_page_of_the_api_runs_from_top_to_bottom(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    page = (REPO / "docs" / "python.md").read_text()
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {}
    for code in re.findall(r"```python\n(.*?)```", page, re.DOTALL):
        exec(code, names)
    assert (tmp_path / "scene.wav").stat().st_size > 100_000
    assert "<svg" in (tmp_path / "scene.svg").read_text()
    assert len(names["data"]) == 16


def test_the_truth_is_what_was_asked_for(scene: sqa.RenderedScene, me: sqa.Listener) -> None:
    assert scene.audio.shape == (2, 64_000)
    assert scene.audio.dtype == np.float32
    bark, knock = scene.sources
    assert (bark.azimuth_deg, bark.distance_m, knock.azimuth_deg) == pytest.approx((60, 1.5, -45))
    assert (bark.labels, knock.labels, knock.onset_s) == (("Bark",), ("Knock",), 0.5)
    assert scene.truth.listener_position == me.position
    assert [rir.shape[0] for rir in scene.rirs] == [2, 2]
    left, right = scene.rirs[0]
    assert np.sum(left**2) > 1.2 * np.sum(right**2)  # the bark is on the left


def test_a_scene_is_written_as_wav_or_says_why_not(scene: sqa.RenderedScene, tmp_path: Path) -> None:
    scene.write(tmp_path / "scene.wav")
    assert soundfile.info(tmp_path / "scene.wav").frames == scene.audio.shape[1]
    with pytest.raises(sqa.SpatialQAError, match=r"ends in \.wav"):
        scene.write(tmp_path / "scene.mp3")
    with pytest.raises(sqa.SpatialQAError, match="cannot be written"):
        scene.write(tmp_path / "nowhere" / "scene.wav")


def test_numbers_of_any_library_place_a_listener_and_a_source(room: sqa.Room, me: sqa.Listener) -> None:
    listener = sqa.Listener(np.array(me.position), np.float32(30))  # type: ignore[arg-type]
    assert listener == me
    assert hash(listener) == hash(me)
    source = sqa.Source(" Bark ", azimuth_deg=np.int64(60), distance_m=torch.tensor(1.5), onset_s=np.float32(0.5))  # type: ignore[arg-type]
    assert source == sqa.Source("Bark", azimuth_deg=60, distance_m=1.5, onset_s=0.5)
    there = sqa.Source("Bark", position=np.array([1, 1, 0]))  # type: ignore[arg-type]
    assert there.place(me) == (1.0, 1.0, 0.0)
    assert room.problem(np.array(me.position)) is None  # type: ignore[arg-type]


def test_what_was_used_can_be_sent_to_other_processes(scene: sqa.RenderedScene, room: sqa.Room) -> None:
    again = pickle.loads(pickle.dumps(scene))
    assert np.array_equal(again.audio, scene.audio)
    assert again.room.problem((0, 1.5, 0)) == room.problem((0, 1.5, 0))
    assert "positions" in room.__dict__  # used, and still sent
    engine = sqa.open_engine(sample_rate=16_000)
    me, there = sqa.Listener((0.5, 1.5, 0.5)), [(0.0, 1.5, -0.5)]
    rir = sqa.simulate_rirs(room, me, there, engine=engine)[0]
    assert np.array_equal(rir, sqa.simulate_rirs(room, me, there, engine=pickle.loads(pickle.dumps(engine)))[0])


def test_threads_that_share_an_engine_wait_for_one_another(room: sqa.Room) -> None:
    other = sqa.open_rooms("procedural").load("home-000007")
    places = [(which, which.sample_point(seed=seed)) for seed in range(3) for which in (room, other)]

    def rir(place: tuple[sqa.Room, Any]) -> Any:
        home, (x, y, z) = place
        listener = sqa.Listener((x, y, z))
        return sqa.simulate_rirs(home, listener, [(x, y, z - 0.15)], engine=engine, check_positions=False)[0]

    engine = sqa.open_engine(sample_rate=16_000)
    alone = [rir(place) for place in places]
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(rir, places))
    assert all(np.array_equal(a, b) for a, b in zip(alone, together, strict=True))


def test_the_questions_of_a_scene_follow_from_its_positions(scene: sqa.RenderedScene) -> None:
    questions = sqa.ask(scene, types=("C", "D", "E"))
    assert {question.type for question in questions} >= {"E"}
    sides = [q for q in questions if q.subtype == "direction_word" and q.asked_labels]
    assert all(q.answer in ("left", "right", "in front", "behind", "above", "below") for q in sides)
    assert sqa.ask(scene, types=("D", "E")) == sqa.ask(scene, types=("D", "E"))
    with pytest.raises(sqa.SpatialQAError, match="choose from A, B"):
        sqa.ask(scene, types=("Q",))


def test_rirs_of_given_positions_are_those_of_the_scene(
    scene: sqa.RenderedScene, room: sqa.Room, me: sqa.Listener
) -> None:
    again = sqa.simulate_rirs(room, me, [source.position for source in scene.sources])
    assert all(np.array_equal(a, b) for a, b in zip(again, scene.rirs, strict=True))
    assert sqa.simulate_rirs(room, me, []) == []


def test_a_source_can_stand_at_a_position_in_the_room(room: sqa.Room, me: sqa.Listener) -> None:
    x, y, z = me.position
    scene = sqa.render_scene(
        room, sqa.Listener(me.position), [sqa.Source("Bark", position=(x, y, z - 1))], duration_s=1
    )
    assert (scene.sources[0].azimuth_deg, scene.sources[0].distance_m) == pytest.approx((0, 1))


def test_a_short_clip_plays_once_unless_asked_and_repeats_are_saved(
    room: sqa.Room, me: sqa.Listener, tmp_path: Path
) -> None:
    soundfile.write(tmp_path / "a.wav", np.random.default_rng(0).standard_normal(8000) * 0.1, 16_000)
    once = sqa.Source(tmp_path / "a.wav", "Knock", azimuth_deg=60, distance_m=1.5, onset_s=0.25)
    scene = sqa.render_scene(room, me, [once], duration_s=3)
    assert (scene.sources[0].starts_s, scene.sources[0].offset_s) == ((0.25,), 0.75)
    again = sqa.render_scene(room, me, [replace(once, fill="repeat")], duration_s=3)
    starts = again.sources[0].starts_s
    assert starts is not None
    assert starts[0] == 0.25
    assert len(starts) >= 2
    assert all(0.7 <= gap <= 1.5 for gap in np.diff(starts))
    data = sqa.save_scenes(tmp_path / "out", [scene, again], progress=False)
    assert [record.sources[0].starts_s for record in data.records()] == [(0.25,), starts]
    assert not sqa.validate(data, rerender=2).problems
    with pytest.raises(sqa.SpatialQAError, match=r"fill 'twice' must be one of once, repeat"):
        replace(once, fill="twice")


def test_a_scene_in_which_nothing_can_be_heard_is_refused(room: sqa.Room, me: sqa.Listener, tmp_path: Path) -> None:
    audio = np.zeros(4 * 16_000)
    audio[-16_000:] = 0.3 * np.random.default_rng(0).standard_normal(16_000)
    audio[:-16_000] = 1e-5
    soundfile.write(tmp_path / "late.wav", audio, 16_000, subtype="FLOAT")
    late = sqa.Source(tmp_path / "late.wav", "Knock", azimuth_deg=60, distance_m=1.5)
    with pytest.raises(sqa.SpatialQAError, match=r"the scene is silent: source 0, .* or lower audible_dbfs"):
        sqa.render_scene(room, me, [late], duration_s=1)
    bark = sqa.Source("Bark", azimuth_deg=-60, distance_m=1.0)
    both = sqa.render_scene(room, me, [late, bark], duration_s=1)
    assert [source.audible_onset_s is None for source in both.sources] == [True, False]
    assert all(0 not in question.source_indices for question in sqa.ask(both, ("C", "D", "E", "X")))
    assert sqa.render_scene(room, me, [late], duration_s=1, audible_dbfs=-200).sources[0].audible_onset_s is not None


@pytest.mark.soundspaces
def test_another_engine_gives_ambisonics_at_another_rate(room: sqa.Room, me: sqa.Listener) -> None:
    engine = sqa.open_engine("soundspaces", sample_rate=16_000, channels="foa")
    scene = sqa.render_scene(
        room, me, [sqa.Source("Bark", azimuth_deg=90, distance_m=1.0)], engine=engine, duration_s=1
    )
    assert scene.audio.shape == (4, 16_000)
    w, y, _, x = scene.rirs[0][:, : int(0.006 * 16_000)]
    assert abs(np.sum(w * y)) > 3 * abs(np.sum(w * x))  # from the left


def test_saved_scenes_are_a_data_set_with_the_same_audio(scene: sqa.RenderedScene, tmp_path: Path) -> None:
    data = sqa.save_scenes(tmp_path / "out", [scene], names=["dog at the door"], progress=False)
    samples, rate = data.audio("train-00000000")
    expected = decode_flac(encode_flac(scene.audio, scene.sample_rate))[0]
    assert rate == scene.sample_rate
    assert np.array_equal(samples, expected)
    assert data.scenes("train")["scene"].to_pylist() == ["dog at the door"]
    assert data.ask(types=("D", "E"), progress=False).questions.total() >= 1
    (tmp_path / "out").rename(tmp_path / "moved")
    moved = sqa.load_dataset(tmp_path / "moved")
    assert not sqa.validate(moved, rerender=1).problems
    table = tmp_path / "moved" / "_spatialqa" / "placements.parquet"
    before = table.read_bytes()
    with pytest.raises(sqa.SpatialQAError, match="holds another data set"):
        sqa.save_scenes(tmp_path / "moved", [scene], names=["another name"], progress=False)
    assert table.read_bytes() == before


def test_a_sound_file_that_is_gone_or_has_changed_leaves_no_folder(
    room: sqa.Room, me: sqa.Listener, tmp_path: Path
) -> None:
    soundfile.write(tmp_path / "a.wav", np.random.default_rng(0).standard_normal(8000) * 0.1, 16_000)
    scene = sqa.render_scene(
        room, me, [sqa.Source(tmp_path / "a.wav", "Knock", azimuth_deg=60, distance_m=1.5)], duration_s=1
    )
    soundfile.write(tmp_path / "a.wav", np.random.default_rng(1).standard_normal(8000) * 0.1, 16_000)
    with pytest.raises(sqa.SpatialQAError, match=r"a\.wav has changed since scene 0 was rendered"):
        sqa.save_scenes(tmp_path / "out", [scene], progress=False)
    assert not (tmp_path / "out").exists()
    (tmp_path / "a.wav").unlink()
    with pytest.raises(sqa.SpatialQAError, match=r"a\.wav' is not a clip of foley and there is no such file"):
        sqa.save_scenes(tmp_path / "out", [scene], progress=False)
    assert not (tmp_path / "out").exists()


def test_scenes_that_cannot_be_saved_together_say_why(scene: sqa.RenderedScene, room: sqa.Room, tmp_path: Path) -> None:
    with pytest.raises(sqa.SpatialQAError, match="different names"):
        sqa.save_scenes(tmp_path / "out", [scene, scene], names=["a", "a"])
    placed: Any = {
        f: getattr(room, f) for f in ("room_set", "room_id", "house_id", "vertices", "faces", "face_material")
    }
    made = sqa.Room(**placed, materials=room.materials)
    by_hand = sqa.render_scene(
        made, sqa.Listener((0, 1.5, 0)), [sqa.Source("Bark", azimuth_deg=0, distance_m=1)], duration_s=2
    )
    with pytest.raises(sqa.SpatialQAError, match="was made in Python"):
        sqa.save_scenes(tmp_path / "out", [by_hand])
    bad: list[tuple[Any, str]] = [
        ({"foo": 1}, "unknown key 'foo'"),
        ({"split": "dev"}, "must be one of train"),
        ({"names": ["a\nb"]}, "name 0 .* must be one line"),
        ({"names": [1]}, "name 0 1 must be a text"),
        ({"names": ["  "]}, "name 0 .* must be a text that is not empty"),
        ({"sources_per_group": 5}, "no effect with placements"),
    ]
    for options, words in bad:
        with pytest.raises(sqa.SpatialQAError, match=words):
            sqa.save_scenes(tmp_path / "out", [scene], progress=False, **options)
    one: Any = scene
    with pytest.raises(sqa.SpatialQAError, match="must be a list of scenes, not a RenderedScene"):
        sqa.save_scenes(tmp_path / "out", one)
    placed_anywhere = replace(scene, keys={**scene.keys, "check_placements": False, "channels": "binaural"})
    data = sqa.save_scenes(tmp_path / "two", [scene, placed_anywhere], progress=False, plan_only=True)
    assert data.run.recipe["check_placements"] is False  # and a default that is given is no difference
    louder = replace(scene, keys={**scene.keys, "gain_db": -30.0})
    with pytest.raises(sqa.SpatialQAError, match="scene 1 has gain_db -30.0 and scene 0 has -24.0"):
        sqa.save_scenes(tmp_path / "out", [scene, louder])
    with pytest.raises(sqa.SpatialQAError, match="no scene to save"):
        sqa.save_scenes(tmp_path / "out", [])
    assert not (tmp_path / "out").exists()


def test_what_cannot_be_says_so(room: sqa.Room, me: sqa.Listener, knock: Path) -> None:
    bad_position: Any = (0, 1)
    odd: Any = {"none": None, "text": "1", "number": 5}
    here: Any = {"azimuth_deg": 60, "distance_m": 1.5}
    bad: list[tuple[Any, str]] = [
        (lambda: sqa.Source("Bark", azimuth_deg=0, distance_m=9), "source 'Bark' is outside the building"),
        (lambda: sqa.Source("Bark", azimuth_deg=0, distance_m=0.05), "within the listener's head"),
        (lambda: sqa.Source("Brak", **here), "the nearest are 'Bark'"),
        (lambda: sqa.Source(knock, **here), "say what it is a sound of"),
        (lambda: sqa.Source("nothing.wav", label="Bark", **here), "there is no such sound file"),
        (lambda: sqa.Source("Bark"), "give azimuth_deg and distance_m, or position"),
        (lambda: sqa.Source("Bark", azimuth_deg=3), "give azimuth_deg and distance_m, or position"),
        (lambda: sqa.Source("Bark", position=(0, 1, 0), **here), "one of the two"),
        (lambda: sqa.Source("Bark", position=bad_position), "three finite numbers"),
        (lambda: sqa.Source("Bark", azimuth_deg=float("nan"), distance_m=1), "must be a finite number"),
        (lambda: sqa.Source("Bark", position=(0, 1, 0), elevation_deg=10), "one of the two"),
        (lambda: sqa.Source("Bark", azimuth_deg=odd["text"], distance_m=1), "azimuth_deg '1' must be a finite number"),
        (lambda: sqa.Source("Bark", azimuth_deg=True, distance_m=1), "azimuth_deg True must be a finite number"),
        (lambda: sqa.Source("Bark", elevation_deg=odd["none"], **here), "elevation_deg None must be a finite number"),
        (lambda: sqa.Source("Bark", position=(0, 1, 1e10)), "at most 1e+09"),
        (lambda: sqa.Source("Bark", onset_s=-0.5, **here), "onset_s -0.5 must be 0 s or more"),
        (lambda: sqa.Source(odd["number"], **here), "a source: clip 5 must be a text"),
        (lambda: sqa.Source(knock, label=" ", **here), "label ' ' must be a text that is not empty"),
        (lambda: sqa.Source(knock, label="a\nb", **here), "must be one line"),
        (lambda: ("Bark", 60), "a source must be made with Source(...), and is ('Bark', 60)"),
        (lambda: sqa.Source("Bark", onset_s=2, **here), "onset_s 2 must be less than duration_s 1"),
    ]
    for make, words in bad:
        with pytest.raises(sqa.SpatialQAError, match=re.escape(words)):
            sqa.render_scene(room, me, [make()], duration_s=1)
    with pytest.raises(sqa.SpatialQAError, match="at least one source"):
        sqa.render_scene(room, me, [])
    nowhere: list[Any] = [bad_position, None, ("0", "1", "0"), (0, float("inf"), 0)]
    for position in nowhere:
        with pytest.raises(sqa.SpatialQAError, match="three finite numbers"):
            sqa.Listener(position)
        with pytest.raises(sqa.SpatialQAError, match="three finite numbers"):
            room.problem(position)
    bark = sqa.Source("Bark", **here)
    twice = [sqa.Source(knock, label="Knock", **here), sqa.Source(knock, label="Tap", azimuth_deg=0, distance_m=1)]
    wrong: list[tuple[Any, str]] = [
        (lambda: sqa.render_scene(room, me, twice), "is labelled 'Knock' and 'Tap'"),
        (lambda: sqa.render_scene(room, me, odd["number"]), "sources must be a list, and one is given that is a int"),
        (lambda: sqa.render_scene(odd["text"], me, [bark]), "room must be made with open_rooms(...).load(...)"),
        (lambda: sqa.render_scene(room, odd["text"], [bark]), "listener must be made with Listener(...)"),
        (lambda: sqa.render_scene(room, me, [bark], engine=odd["text"]), "made with open_engine(...), and is '1'"),
        (lambda: sqa.render_scene(room, me, [bark], clips=odd["text"]), "must be made with open_clips(...)"),
        (lambda: sqa.simulate_rirs(room, me, odd["number"]), "positions must be a list"),
        (lambda: sqa.simulate_rirs(room, me, [(0, 1, 0)], seed=-1), "seed = -1 must be at least 0"),
        (lambda: sqa.ask(odd["text"]), "scene must be made with render_scene(...)"),
        (lambda: room.sample_point(seed=-1), "seed = -1 must be at least 0"),
        (lambda: sqa.open_rooms().load(odd["number"]), "room_id 5 must be a text"),
        (lambda: sqa.open_rooms().room_ids(-1), "count -1 must be a whole number, 0 or more"),
    ]
    for call, words in wrong:
        with pytest.raises(sqa.SpatialQAError, match=re.escape(words)):
            call()
    with pytest.raises(sqa.SpatialQAError, match="peaks at .* lower gain_db"):
        sqa.render_scene(room, me, [sqa.Source("Bark", **here)], duration_s=1, gain_db=20)
    with pytest.raises(sqa.SpatialQAError, match="no option 'scenes'"):
        sqa.open_rooms("procedural", scenes=3)
    with pytest.raises(sqa.SpatialQAError, match="rooms are unlimited"):
        sqa.open_rooms("procedural").room_ids()
    through_a_wall = sqa.Source("Bark", azimuth_deg=0, distance_m=9)
    assert sqa.render_scene(room, me, [through_a_wall], duration_s=1, check_positions=False).sources[0].distance_m == 9


def test_a_mesh_is_opened_with_the_keys_of_the_command(tmp_path: Path, room: sqa.Room) -> None:
    import trimesh

    box = trimesh.creation.box((400, 300, 300))
    box.apply_translation((0, 150, 0))
    box.invert()
    box.export(tmp_path / "hall.ply")
    rooms = sqa.open_rooms(f"mesh:{tmp_path / 'hall.ply'}", unit_scale=0.01)
    assert rooms.room_ids() == list(rooms) == ["hall"]
    with pytest.raises(sqa.SpatialQAError, match=r"did you mean mesh:.*hall\.ply\?"):
        sqa.open_rooms(str(tmp_path / "hall.ply"))
    with pytest.raises(sqa.SpatialQAError, match="did you mean folder:"):
        sqa.open_clips(str(tmp_path))
    hall = rooms.load("hall")
    assert hall.size == pytest.approx((4, 3, 3))
    assert hall.problem((0, 1.5, 0)) is None
    assert isinstance(hall, PlainRoom)
    bark = sqa.Source("Bark", azimuth_deg=0, distance_m=1)
    scene = sqa.render_scene(hall, sqa.Listener((0, 1.5, 0)), [bark], duration_s=1)
    box.apply_scale(1.1)
    box.export(tmp_path / "hall.ply")
    with pytest.raises(sqa.SpatialQAError, match="room 'hall' has changed since scene 0 was rendered"):
        sqa.save_scenes(tmp_path / "out", [scene], progress=False)
    assert not (tmp_path / "out").exists()


def test_a_data_set_is_read_as_tables_audio_and_items(small: Path, tmp_path: Path) -> None:
    data = sqa.load_dataset(small)
    assert len(data) == 24
    assert "train 12" in repr(data)
    scenes = data.scenes("train")
    assert scenes.num_rows == 12
    assert "audio" not in scenes.column_names
    assert data.questions().num_rows == sum(data.questions(split).num_rows for split in data.counts())
    ids = data.scenes()["scene_id"].to_pylist()
    samples, rate = data.audio(ids[-1])
    assert samples.shape == (2, 2 * rate)
    assert [record.scene_id for record in data.records()] == ids
    with pytest.raises(sqa.SpatialQAError, match="no scene 'x'"):
        data.audio("x")
    with pytest.raises(sqa.SpatialQAError, match="must be one of"):
        data.scenes("dev")
    with pytest.raises(sqa.SpatialQAError, match="holds no questions in qa-x"):
        data.questions(name="x")
    with pytest.raises(sqa.SpatialQAError, match="no such data set"):
        sqa.load_dataset(small / "nothing")
    odd: Any = 5
    shape: Any = {"scenes": 2, "splits": "1,0,0", "duration_s": 1, "workers": 0, "plan_only": True}
    only_train = sqa.render(tmp_path / "out", config=None, progress=False, **shape)
    wrong: list[tuple[Any, str]] = [
        (lambda: data.audio(odd), "scene_id 5 must be a text"),
        (lambda: only_train.scenes("test"), "has no scenes in the split 'test'; it has train"),
        (lambda: data.torch("dev"), "split 'dev' must be one of"),
        (lambda: sqa.load_dataset(odd), "path 5 must be a path"),
        (lambda: sqa.render(odd, None, scenes=1), "out 5 must be a path"),
        (lambda: sqa.validate(data, rerender=-1), "rerender -1 must be a whole number, 0 or more"),
        (lambda: sqa.score(odd, data), "predictions 5 must be a path"),
        (lambda: sqa.score({}, data), "predictions: holds no predictions"),
        (lambda: sqa.score({"a": odd}, data), "predictions: answer 0: prediction must be a text"),
        (lambda: sqa.score({"a": "b"}, data), "predictions: none of its 1 qa_ids"),
        (lambda: sqa.score({"a": "b"}, data, split="dev"), "split 'dev' must be one of"),
        (lambda: sqa.export(data, odd, "webdataset", progress=False), "dest 5 must be a path"),
    ]
    for call, words in wrong:
        with pytest.raises(sqa.SpatialQAError, match=re.escape(words)):
            call()
    answers = {row["qa_id"]: row["answer"] for row in data.questions("test").to_pylist()}
    figures = sqa.score(answers, data).as_json()
    assert figures["answered"] == len(answers)
    assert {row["accuracy"]["value"] for row in figures["subtypes"] if "accuracy" in row} <= {1.0, 100.0, None}


def test_torch_items_hold_the_truth_and_resume(small: Path) -> None:
    data = sqa.load_dataset(small)
    train = data.torch("train")
    rows = {row["scene_id"]: row for row in data.scenes("train").to_pylist()}
    item = train[3]
    row = rows[item["scene_id"]]
    samples, rate = data.audio(item["scene_id"])
    gain = np.float32(10 ** (-row["gain_db"] / 20))
    assert torch.equal(item["waveform"], torch.from_numpy(samples * gain))
    assert item["sample_rate"] == rate
    assert item["azimuth_deg"].tolist() == pytest.approx([s["azimuth_deg"] for s in row["sources"]], rel=1e-6)
    assert item["labels"] == [s["labels"] for s in row["sources"]]

    def order(**how: Any) -> list[list[str]]:
        return [batch["scene_id"] for batch in train.loader(5, **how)]

    assert order(workers=2) == order()
    assert order(epoch=1) != order()
    assert order(start=1) == order()[1:]
    assert sorted(scene_id for batch in order() for scene_id in batch) == sorted(rows)
    assert [len(batch["waveform"]) for batch in train.loader(5, shuffle=False)] == [5, 5, 2]
    singles = data.torch("train", sources=1, transform=lambda item: len(item["labels"]))
    assert set(singles) == {1}
    ordinary = DataLoader(data.torch("train", sources=2), batch_size=None, num_workers=1)
    assert all(len(item["labels"]) == 2 for item in ordinary)
    assert len(data.torch("train", sources=np.int64(1))) == len(singles)
    bad: list[dict[str, Any]] = [{"start": -1}, {"workers": -1}, {"seed": "x"}, {"epoch": 1.5}, {"batch_size": 0}]
    for how in bad:
        with pytest.raises(sqa.SpatialQAError, match="must be a whole number"):
            train.loader(**{"batch_size": 5, **how})
    with pytest.raises(sqa.SpatialQAError, match="sources 'one' must be a whole number"):
        data.torch("train", sources="one")
    with pytest.raises(sqa.SpatialQAError, match="no scene of 7 sources"):
        data.torch("train", sources=7)
