"""SOFA files of binaural room responses, written with all that AES69 makes mandatory."""

from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from spatialqa.banks.bank_rooms import BankRooms
from spatialqa.banks.engine import BankEngine
from spatialqa.banks.open_bank import open_bank
from spatialqa.core.geometry import Pose, direction
from spatialqa.errors import RoomError
from tests.banks.ears import ear_rir, lead
from tests.fixtures.sofa_rooms import write_sofa

# SOFA's frame: x front, y left, z up. A listener at 1.2 m who faces +y, which is left there.
LISTENER = np.array([[1.0, 2.0, 1.2]])
FACING_LEFT = np.array([[0.0, 1.0, 0.0]])
SOURCES = np.array([[1.0, 4.0, 1.2], [3.0, 2.0, 1.2], [-1.0, 2.0, 1.2], [1.0, 2.0, 3.2]])  # front, right, left, above
DIRECTIONS = [(0.0, 0.0), (-90.0, 0.0), (90.0, 0.0), (None, 90.0)]


def world(points: np.ndarray) -> list[tuple[float, float, float]]:
    return [(-float(y), float(z), -float(x)) for x, y, z in points]


def responses(rate: int = 16000) -> np.ndarray:
    """The responses (M, 2, N) of those sources, left then right, for a head that faces SOFA's +y."""
    half = np.sqrt(0.5)
    listener = Pose(world(LISTENER)[0], (half, 0.0, half, 0.0))  # 90 degrees to the left
    return np.stack([ear_rir(listener, source, rate, k) for k, source in enumerate(world(SOURCES))])


def single_room(path: Path, **changes: Any) -> Path:
    values: dict[str, Any] = {
        "responses": responses(),
        "listener": np.repeat(LISTENER, len(SOURCES), axis=0),
        "source": SOURCES,
        "view": FACING_LEFT,
        **changes,
    }
    return write_sofa(path, "SingleRoomSRIR", **values)


def read_all(path: Path) -> list[tuple[float, float, np.ndarray]]:
    """Return azimuth, elevation and RIR of every response, by its name in the bank."""
    room = BankRooms(path, 0, 100).load(path.stem)
    found = {}
    with BankEngine(path, 16000).open(room) as acoustic:
        for group in room.groups:
            for place in group.places:
                (rir,) = acoustic.rirs(group.listener, [place.position], 0)
                azimuth, elevation, _ = direction(group.listener, place.position)
                found[str(place.bank_rir)] = (azimuth, elevation, rir)
    return [found[name] for name in sorted(found)]


def check_directions(found: list[tuple[float, float, np.ndarray]]) -> None:
    assert len(found) == len(DIRECTIONS)
    for (azimuth, elevation, rir), (true_azimuth, true_elevation) in zip(found, DIRECTIONS, strict=True):
        assert elevation == pytest.approx(true_elevation, abs=1e-6)
        if true_azimuth is not None:
            assert azimuth == pytest.approx(true_azimuth, abs=1e-6)
            assert np.sign(lead(rir)) == np.sign(true_azimuth)


def test_single_room_srir_keeps_directions_ears_and_samples(tmp_path: Path) -> None:
    found = read_all(single_room(tmp_path / "hall.sofa"))
    check_directions(found)
    for (_, _, rir), stored in zip(found, responses(), strict=True):
        assert np.array_equal(rir, stored)


def test_multi_speaker_brir_has_a_source_for_every_emitter(tmp_path: Path) -> None:
    path = write_sofa(
        tmp_path / "studio.sofa",
        "MultiSpeakerBRIR",
        responses().transpose(1, 0, 2)[None],  # (1, R, E, N)
        LISTENER,
        np.array([[1.0, 1.0, 1.0]]),
        view=FACING_LEFT,
        emitters=SOURCES - 1.0,  # from the source's place
    )
    found = read_all(path)
    check_directions(found)
    for (_, _, rir), stored in zip(found, responses(), strict=True):
        assert np.array_equal(rir, stored)


def test_receivers_are_taken_by_their_place_not_their_order(tmp_path: Path) -> None:
    path = single_room(
        tmp_path / "hall.sofa",
        responses=responses()[:, ::-1],
        receivers=np.array([[0.0, -0.09, 0.0], [0.0, 0.09, 0.0]]),
    )
    check_directions(read_all(path))


def test_spherical_positions_are_read(tmp_path: Path) -> None:
    at_origin = np.zeros((4, 3))
    offset = SOURCES - LISTENER
    azimuth = np.degrees(np.arctan2(offset[:, 1], offset[:, 0]))
    elevation = np.array([0.0, 0.0, 0.0, 90.0])
    spherical = np.stack([azimuth, elevation, np.linalg.norm(offset, axis=1)], axis=1)
    path = single_room(tmp_path / "hall.sofa", listener=at_origin, source=spherical, spherical_source=True)
    check_directions(read_all(path))


def test_delays_are_applied_whole_and_in_fractions(tmp_path: Path) -> None:
    n, t = 400, np.arange(400)
    smooth = np.exp(-(((t - 100) / 6.0) ** 2))  # all its energy far below half the sample rate
    path = single_room(
        tmp_path / "hall.sofa",
        responses=np.tile(smooth, (4, 2, 1)),
        delay=np.array([[7.0, 3.25]]),
    )
    for _, _, rir in read_all(path):
        assert rir.shape == (2, n + 7)
        later = np.arange(n + 7)
        assert rir[0] == pytest.approx(np.exp(-(((later - 107) / 6.0) ** 2)), abs=1e-6)
        assert rir[1] == pytest.approx(np.exp(-(((later - 103.25) / 6.0) ** 2)), abs=1e-6)


def test_a_folder_of_files_is_a_set_of_houses_and_nothing_is_claimed_to_be_known(tmp_path: Path) -> None:
    for name in ("b", "a"):
        single_room(tmp_path / f"{name}.sofa")
    rooms = BankRooms(tmp_path, 0, 8)
    assert list(rooms.room_ids(None, 0)) == ["a", "b"]
    assert rooms.official_split("a") is None
    facts = rooms.bank.facts
    assert (facts.rir_time_zero, facts.calibrated, facts.hrtf) == ("unknown", False, "two ears")
    assert all(place.line_of_sight is None for group in rooms.load("a").groups for place in group.places)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"responses": np.ones((4, 4, 50)), "receivers": np.zeros((4, 3))},
            "has 4 receivers, and a binaural bank has two",
        ),
        ({"receivers": np.array([[0.0, 0.1, 0.0], [0.0, 0.2, 0.0]])}, "do not lie left and right"),
        (
            {"source": SOURCES[:3]},
            "positions and RIRs disagree: SourcePosition has 3 rows and there are 4 measurements",
        ),
        ({"view": np.array([[0.0, 0.0, 2.0]])}, "View and ListenerUp are parallel"),
        ({"rate": 0.0}, "sample rate of 0 Hz"),
        ({"source": np.full((4, 3), np.nan)}, "not a finite number"),
    ],
)
def test_what_is_no_binaural_room_is_refused(tmp_path: Path, changes: dict[str, Any], message: str) -> None:
    with pytest.raises(RoomError, match=message):
        open_bank(single_room(tmp_path / "hall.sofa", **changes))


def test_other_conventions_and_files_are_refused_by_name(tmp_path: Path) -> None:
    path = single_room(tmp_path / "hall.sofa")
    with h5py.File(path, "r+") as file:
        file.attrs["SOFAConventions"] = "SimpleFreeFieldHRIR"
    with pytest.raises(RoomError, match="holds SOFA convention SimpleFreeFieldHRIR"):
        open_bank(path)
    single_room(path)
    with h5py.File(path, "r+") as file:
        file.attrs["DataType"] = "TF"
    with pytest.raises(RoomError, match="data of type TF"):
        open_bank(path)
    path.write_bytes(path.read_bytes()[:3000])
    with pytest.raises(RoomError, match="cannot be read as SOFA"):
        open_bank(path)
    path.write_text("no HDF5")
    with pytest.raises(RoomError, match="cannot be read as SOFA"):
        open_bank(path)


def test_a_link_out_of_the_file_is_not_followed(tmp_path: Path) -> None:
    single_room(tmp_path / "other.h5")
    path = single_room(tmp_path / "hall.sofa")
    with h5py.File(path, "r+") as file:
        del file["Data.IR"]
        file["Data.IR"] = h5py.ExternalLink("other.h5", "Data.IR")
    with pytest.raises(RoomError, match="Data.IR is not an array of numbers within the file"):
        open_bank(path)


def test_a_negative_delay_and_a_silent_response_are_refused(tmp_path: Path) -> None:
    with pytest.raises(RoomError, match="has a delay of"):
        read_all(single_room(tmp_path / "hall.sofa", delay=np.array([[-1.0, 0.0]])))
    with pytest.raises(RoomError, match="is silent"):
        read_all(single_room(tmp_path / "quiet.sofa", responses=np.zeros((4, 2, 50))))
