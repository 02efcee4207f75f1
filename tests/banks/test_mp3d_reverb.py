"""SpatialSoundQA's released RIRs, written in their true layout."""

import json
from pathlib import Path

import numpy as np
import pytest

from spatialqa.banks.bank_rooms import BankRooms
from spatialqa.banks.engine import BankEngine
from spatialqa.banks.open_bank import open_bank
from spatialqa.core.geometry import Pose, Vec3, direction
from spatialqa.errors import EngineError, RoomError
from tests.banks.ears import ear_rir, lead
from tests.fixtures.mp3d_reverb import ReverbEntry, write_mp3d_reverb

HERE: Vec3 = (1.25, 1.5, -3.75)


def entry(scene: str, number: int, sensor: Vec3, source: Vec3) -> ReverbEntry:
    return ReverbEntry(f"{scene}/{number}.npy", sensor, source, ear_rir(Pose(sensor), source, 32000, number))


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """Scene `one` for training: a listener with three sources and two with one each; scene `two` for evaluation."""
    x, y, z = HERE
    train = [
        entry("one", 0, HERE, (x - 2.0, y, z)),
        entry("one", 1, HERE, (x, y, z - 3.0)),
        entry("one", 2, HERE, (x + 1.0, y + 0.5, z + 1.0)),
        entry("one", 3, (x + 4, y, z), (x + 4, y, z + 2.0)),
        entry("one", 10, (x, y, z + 4), (x - 1.0, y, z + 4)),
    ]
    return write_mp3d_reverb(
        tmp_path / "mp3d_reverb", {"train": train, "eval": [entry("two", 0, (0.0, 1.5, 0.0), (0.0, 1.5, -2.0))]}
    )


def test_listeners_and_sources_are_where_the_lists_say(tree: Path) -> None:
    rooms = BankRooms(tree, seed=0, sources_per_group=8)
    assert list(rooms.room_ids(None, 0)) == ["one", "two"]
    assert (rooms.official_split("one"), rooms.official_split("two")) == ("train", "test")
    room = rooms.load("one")
    assert sorted(len(group.places) for group in room.groups) == [1, 1, 3]
    group = next(group for group in room.groups if len(group.places) == 3)
    left = next(place for place in group.places if place.bank_rir == "one/0.npy")
    assert (group.listener.position, left.position) == (HERE, (HERE[0] - 2.0, HERE[1], HERE[2]))
    assert (left.azimuth_deg, left.distance_m, left.line_of_sight) == (90.0, 2.0, None)


def test_each_rir_comes_back_as_it_was_stored_and_left_is_left(tree: Path) -> None:
    rooms = BankRooms(tree.parent, seed=0, sources_per_group=8)  # the folder above will do as well
    room = rooms.load("one")
    with BankEngine(tree, 32000).open(room) as acoustic:
        for group in room.groups:
            rirs = acoustic.rirs(group.listener, [place.position for place in group.places], 0)
            for place, rir in zip(group.places, rirs, strict=True):
                assert np.array_equal(rir, np.load(tree / "binaural" / str(place.bank_rir)))
                azimuth = direction(group.listener, place.position).azimuth_deg
                assert np.sign(lead(rir)) == np.sign(np.round(np.sin(np.radians(azimuth)), 6))


def test_the_bank_says_what_it_knows_of_its_making(tree: Path) -> None:
    identity = BankEngine(tree, 32000).identity
    assert (identity.name, identity.config["rir_time_zero"], identity.config["calibrated"]) == (
        "bank:soundspaces",
        "direct",
        False,
    )


def test_mixing_keeps_each_source_where_its_own_listener_heard_it(tree: Path) -> None:
    rooms = BankRooms(tree, seed=3, sources_per_group=5, mix_listeners=True)
    room = rooms.load("one")
    assert [len(group.places) for group in room.groups] == [5]
    lists = json.loads((tree / "train_reverberation.json").read_text())["data"]
    at = {
        item["fname"]: [np.fromstring(item[f"{who}_position"], sep=",") for who in ("source", "sensor")]
        for item in lists
    }
    (group,) = room.groups
    for place in group.places:
        offset = np.subtract(place.position, group.listener.position)
        source, sensor = at[str(place.bank_rir)]
        assert offset == pytest.approx(source - sensor, abs=1e-12)
    with BankEngine(tree, 32000).open(room) as acoustic:
        rirs = acoustic.rirs(group.listener, [place.position for place in group.places], 0)
    for place, rir in zip(group.places, rirs, strict=True):
        assert np.array_equal(rir, np.load(tree / "binaural" / str(place.bank_rir)))


def test_groups_hold_every_rir_once_and_depend_on_the_seed_alone(tree: Path) -> None:
    def names(seed: int) -> list[list[str | None]]:
        room = BankRooms(tree, seed, sources_per_group=2).load("one")
        return [[place.bank_rir for place in group.places] for group in room.groups]

    assert names(1) == names(1)
    assert any(names(1) != names(seed) for seed in range(2, 8))
    flat = [name for group in names(1) for name in group]
    assert sorted(map(str, flat)) == [f"one/{k}.npy" for k in (0, 1, 10, 2, 3)]
    assert max(map(len, names(1))) == 2


def test_distances_leave_rirs_out(tree: Path) -> None:
    rooms = BankRooms(tree, 0, 8, min_distance_m=1.6, max_distance_m=2.5)
    assert sum(rooms.group_sizes("one")) == 2
    with pytest.raises(RoomError, match="none of its 6 RIRs has a source 50 to 60 m away"):
        BankRooms(tree, 0, 8, min_distance_m=50.0, max_distance_m=60.0)


def test_a_changed_sample_changes_the_hash_and_a_moved_source_the_identity(tree: Path) -> None:
    bank = open_bank(tree)
    content, identity = bank.content_hash(), bank.identity()
    path = tree / "binaural/one/3.npy"
    rir = np.load(path)
    rir[0, -1] += 1e-3
    np.save(path, rir)
    assert open_bank(tree).content_hash() != content
    assert open_bank(tree).identity() == identity
    listed = (tree / "train_reverberation.json").read_text()
    (tree / "train_reverberation.json").write_text(listed.replace("5.25", "5.5"))
    assert open_bank(tree).identity() != identity


def test_an_npy_with_pickled_objects_is_refused_and_never_loaded(tree: Path, tmp_path: Path) -> None:
    class Trap:
        def __reduce__(self) -> tuple[object, tuple[str]]:
            return (Path.touch, (tmp_path / "sprung",))  # type: ignore[return-value]

    np.save(tree / "binaural/one/1.npy", np.array([[Trap()], [Trap()]], dtype=object), allow_pickle=True)
    with pytest.raises(RoomError, match=r"one/1\.npy: holds pickled Python objects"):
        open_bank(tree).content_hash()
    assert not (tmp_path / "sprung").exists()


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (np.zeros((3, 100), np.float32), r"shape \(3, 100\)"),
        (np.ones((100, 2), np.float32), r"shape \(100, 2\)"),
        (np.ones((2, 100), np.int16), "holds int16 and not floating-point samples"),
        (np.zeros((2, 100), np.float32), "is silent"),
        (np.full((2, 100), np.nan, np.float32), "not finite"),
    ],
)
def test_an_array_that_is_no_rir_is_refused(tree: Path, array: np.ndarray, message: str) -> None:
    np.save(tree / "binaural/one/1.npy", array)
    with pytest.raises(RoomError, match=message):
        open_bank(tree).content_hash()


def test_a_header_that_promises_gigabytes_is_refused_before_they_are_read(tree: Path) -> None:
    path = tree / "binaural/one/1.npy"
    for shape in ((2, 10**12), (2, 1_900_000)):  # too long for an RIR; longer than the file
        with path.open("wb") as file:
            header = {"descr": "<f4", "fortran_order": False, "shape": shape}
            np.lib.format.write_array_header_1_0(file, header)
        with pytest.raises(RoomError, match=r"holds an array of shape|is truncated"):
            open_bank(tree).content_hash()


def test_a_truncated_and_a_foreign_file_are_refused(tree: Path) -> None:
    path = tree / "binaural/one/1.npy"
    path.write_bytes(path.read_bytes()[:-1000])
    with pytest.raises(RoomError, match="is truncated"):
        open_bank(tree).content_hash()
    path.write_bytes(b"RIFF")
    with pytest.raises(RoomError, match=r"is not an \.npy file"):
        open_bank(tree).content_hash()


def test_positions_and_files_that_disagree_in_number_are_refused(tree: Path) -> None:
    (tree / "binaural/one/3.npy").rename(tree / "binaural/one/4.npy")
    with pytest.raises(RoomError, match=r"one/3\.npy has a position and no file"):
        open_bank(tree)
    np.save(tree / "binaural/one/3.npy", np.ones((2, 9), np.float32))
    with pytest.raises(RoomError, match=r"6 are listed and 7 files .*one/4\.npy has a file and no position"):
        open_bank(tree)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda e: e.update(fname="../../etc/1.npy"), "not <scene>/<n>.npy"),
        (lambda e: e.update(sensor_position="1,2"), "not x,y,z in metres"),
        (lambda e: e.update(source_position="1,2,nan"), "not x,y,z in metres"),
        (lambda e: e.pop("source_position"), "entry 0 lacks"),
        (lambda e: e.update(fname="one/1.npy"), "one/1.npy is listed more than once"),
    ],
)
def test_a_list_with_a_wrong_entry_is_refused(tree: Path, change: object, message: str) -> None:
    path = tree / "train_reverberation.json"
    data = json.loads(path.read_text())
    change(data["data"][0])  # type: ignore[operator]
    path.write_text(json.dumps(data))
    with pytest.raises(RoomError, match=message):
        open_bank(tree)


def test_a_scene_in_both_lists_has_no_official_split(tree: Path) -> None:
    train, evaluation = (json.loads((tree / f"{name}_reverberation.json").read_text()) for name in ("train", "eval"))
    evaluation["data"].append(train["data"].pop())
    for name, data in (("train", train), ("eval", evaluation)):
        (tree / f"{name}_reverberation.json").write_text(json.dumps(data))
    with pytest.raises(RoomError, match="house one in test and train: .*--room-splits random"):
        BankRooms(tree, 0, 8).official_split("one")


def test_another_sample_rate_yaw_or_layout_is_refused(tree: Path) -> None:
    with pytest.raises(EngineError, match="at 32000 Hz and the scenes at 16000 Hz: .*--bank-resample"):
        BankEngine(tree, 16000)
    with pytest.raises(EngineError, match="binaural bank and the scenes are foa"):
        BankEngine(tree, 32000, channels="foa")
    with pytest.raises(RoomError, match="do not all face yaw 90"):
        BankRooms(tree, 0, 8, yaw_deg=90.0)
    assert BankRooms(tree, 0, 8, yaw_deg=0.0).room_ids(None, 0)


def test_a_folder_without_a_bank_says_what_was_looked_for(tmp_path: Path) -> None:
    with pytest.raises(RoomError, match=r"holds no bank; looked for rirs/.*mp3d_reverb.*\.sofa"):
        open_bank(tmp_path)
    with pytest.raises(RoomError, match="no such folder"):
        open_bank(tmp_path / "missing")
