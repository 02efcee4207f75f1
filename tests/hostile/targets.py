"""Every reader of a file that a user may bring: a good file for it, how to damage one, and what reads it."""

import io
import json
import shutil
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import soundfile

from spatialqa.acoustics.sofa import read_hrtf
from spatialqa.banks.npy import read_npy_rir
from spatialqa.banks.open_bank import open_bank
from spatialqa.banks.sofa_file import SofaFile
from spatialqa.cli.options import resolve_model
from spatialqa.clips.audioset.segments import read_segments
from spatialqa.clips.audioset.strong_labels import read_strong
from spatialqa.clips.decode import BadSoundError, read_sound
from spatialqa.clips.folder import FolderClips
from spatialqa.clips.label_filter import read_quality
from spatialqa.core.recipe_file import read_recipe
from spatialqa.core.recipe_keys import build
from spatialqa.dataset.folder import DatasetFolder
from spatialqa.dataset.json_records import Reject, json_lines, read_json_lines, write_record
from spatialqa.generation.placements import read_placements
from spatialqa.generation.recipe import RenderRecipe
from spatialqa.generation.stored_recipe import stored_recipe
from spatialqa.interop.spatialsoundqa.importer import import_spatialsoundqa
from spatialqa.models.bat.recipe import AnswerRecipe, BATRecipe
from spatialqa.models.spatial_ast.recipe import TrainRecipe
from spatialqa.qa.recipe import QaRecipe
from spatialqa.qa.templating.template_file import inspect_template_file
from spatialqa.rooms.materials import read_materials
from spatialqa.rooms.mesh.mesh_rooms import MeshRooms
from spatialqa.rooms.mesh.reading import read_parts
from spatialqa.rooms.scans.hm3d_gibson_replica import ReplicaRooms
from spatialqa.rooms.scans.house_file import read_house_file
from spatialqa.rooms.scans.semantic_ply import read_semantic_ply
from spatialqa.scoring.predictions import read_predictions
from tests.acoustics.test_hrtf import write as write_hrtf
from tests.fixtures.audioset import Segment, write_quality, write_segments, write_strong
from tests.fixtures.matterport_files import Area, Part, write_house_file, write_semantic_ply
from tests.fixtures.mp3d_reverb import ReverbEntry, write_mp3d_reverb
from tests.fixtures.records import run_of, shard_of
from tests.fixtures.sofa_rooms import write_sofa
from tests.imports.released_files import write_release
from tests.rooms.gltf_files import File
from tests.rooms.mesh_files import LIST, XYZ, ply

REPO = Path(__file__).parents[2]
CORNERS = [(0, 0, 0), (2, 0, 0), (2, 2, 0), (0, 2, 0), (1, 1, 3)]
FACES = [[0, 1, 2], [0, 2, 3], [0, 1, 4], [1, 2, 4], [2, 3, 4], [3, 0, 4]]


@dataclass(frozen=True)
class Target:
    """A reader. make: writes a good file into a new folder and returns it. read: reads what lies there now."""

    name: str
    kind: str  # of damage: "bytes", "text" or "json"
    make: Callable[[Path], Path]
    read: Callable[[Path], Any]


TARGETS: list[Target] = []
Make = Callable[[Path], Path]


def target(kind: str, read: Callable[[Path], Any]) -> Callable[[Make], Make]:
    """Add a target that has the name of the function that makes its file."""

    def add(make: Make) -> Make:
        TARGETS.append(Target(make.__name__, kind, make, read))
        return make

    return add


def _text(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


# --- recipes, templates, materials ----------------------------------------------------------------------------------


def _recipe(path: Path) -> None:
    sections = read_recipe(str(path))
    for cls, name in ((RenderRecipe, "render"), (QaRecipe, "make-qa"), (AnswerRecipe, "answer")):
        build(cls, sections.get(name, {}), str(path))
    resolve_model((TrainRecipe, BATRecipe), "train", str(path), {})


@target("text", _recipe)
def recipe(folder: Path) -> Path:
    return Path(shutil.copy(REPO / "spatialqa" / "recipes" / "bat-tiny.yaml", folder))


@target("text", _recipe)
def recipe_of_odd_keys(folder: Path) -> Path:
    return _text(
        folder / "r.yaml",
        "render: {clips: 'folder:a', sources_per_scene: {1: 0.5, 2: 0.5}, up: z, licences: [CC0],\n"
        "  engine_config: {direct: true, ray_count: 2000}, splits: '0.8,0.1,0.1', yaw: 30, seed: 7,\n"
        "  ray_address: 'localhost:6379', simplify: '9000', rooms: 'mesh:a.glb'}\n"
        "make-qa: {types: [A, B], type_counts: {A: 3}, name: x, seed: 1, masking_db: 3.5}\n",
    )


@target("text", inspect_template_file)
def template(folder: Path) -> Path:
    return Path(shutil.copy(sorted((REPO / "spatialqa" / "templates").glob("*.yaml"))[0], folder))


@target("text", lambda path: MeshRooms(path.with_name("h.ply"), material_map=path))
def material_map(folder: Path) -> Path:
    ply(folder / "h.ply", "ascii", ("vertex", XYZ, CORNERS), ("face", LIST, [[face] for face in FACES]))
    return _text(folder / "m.yaml", "wall: brick\nfloor*: carpet\n")


@target("text", read_materials)
def materials(folder: Path) -> Path:
    return Path(shutil.copy(REPO / "spatialqa" / "data" / "materials.tsv", folder))


@target("text", read_placements)
def placements_csv(folder: Path) -> Path:
    return _text(
        folder / "p.csv",
        "scene,room,listener_x,listener_y,listener_z,listener_yaw_deg,label,azimuth_deg,distance_m,onset_s\n"
        "a,home-1,1.5,1.6,-2,30,Bark,45,2.5,0.5\na,,,,,,Banjo,-45,1.5,0\n",
    )


@target("json", read_placements)
def placements_json(folder: Path) -> Path:
    row = {"scene": "a", "room": "r", "listener_x": 1.0, "listener_y": 1.6, "listener_z": 0, "label": "Bark"}
    return _text(folder / "p.jsonl", json.dumps(row | {"source_x": 2, "source_y": 1, "source_z": -3.5}))


# --- meshes ---------------------------------------------------------------------------------------------------------


@target("text", read_parts)
def ply_ascii(folder: Path) -> Path:
    faces = [*FACES, [0, 1, 2, 3]]
    return ply(folder / "m.ply", "ascii", ("vertex", XYZ, CORNERS), ("face", LIST, [[face] for face in faces]))


@target("bytes", read_parts)
def ply_binary(folder: Path) -> Path:
    faces = [[face] for face in [*FACES, [0, 1, 2, 3]]]
    return ply(folder / "m.ply", "binary_little_endian", ("vertex", XYZ, CORNERS), ("face", LIST, faces))


@target("text", read_parts)
def ply_strips(folder: Path) -> Path:
    strips = ("tristrips", ("list int int vertex_indices",), [[[0, 1, 2, 3, -1, 0, 1, 4]]])
    return ply(folder / "m.ply", "ascii", ("vertex", XYZ, CORNERS), strips)


@target("text", read_parts)
def obj(folder: Path) -> Path:
    corners = "".join(f"v {x} {y} {z}\n" for x, y, z in CORNERS)
    faces = "".join(f"f {a + 1}//1 {b + 1} -1\n" for a, b, _ in FACES)
    return _text(folder / "m.obj", f"mtllib a.mtl\no box\n{corners}vn 0 0 1\nusemtl brick\n{faces}f 1 2 3 4\n")


def _shape(path: Path) -> Path:
    file = File()
    bent = file.square(weights=[0.5])
    file.json["meshes"][bent]["primitives"][0] |= {"mode": 4, "material": file.add("materials", name="brick")}
    index = {"bufferView": file.view(np.array([1], "u1").tobytes()), "componentType": 5121}
    value = {"bufferView": file.view(np.array([(3.0, 0.0, 0.0)], "f4").tobytes())}
    sparse = file.accessor([(0.0, 0.0, 0.0)] * 4, sparse={"count": 1, "indices": index, "values": value})
    strip = {"attributes": {"POSITION": sparse}, "mode": 5, "targets": [{"POSITION": sparse}]}
    file.node(mesh=bent, translation=[1, 2, 3], rotation=[0, 0, 0, 1], children=[1])
    file.node(mesh=file.mesh(strip, weights=[1.0]), matrix=np.eye(4).ravel().tolist(), name="inner")
    return file.save(path, scenes=[{"nodes": [0]}], scene=0)


@target("json", read_parts)
def gltf(folder: Path) -> Path:
    return _shape(folder / "m.gltf")


@target("bytes", read_parts)
def glb(folder: Path) -> Path:
    return _shape(folder / "m.glb")


@target("bytes", read_parts)
def stl(folder: Path) -> Path:
    rows = np.zeros(len(FACES), dtype=[("normal", "<f4", 3), ("corners", "<f4", (3, 3)), ("flags", "<u2")])
    rows["corners"] = np.array(CORNERS, dtype=np.float32)[np.array(FACES)]
    (folder / "m.stl").write_bytes(bytes(80) + len(FACES).to_bytes(4, "little") + rows.tobytes())
    return folder / "m.stl"


def _house_parts() -> tuple[list[Part], list[Area]]:
    triangles = np.array(CORNERS, dtype=np.float64)[np.array(FACES)]
    outline = ((0.0, 0.0), (2.0, 0.0), (2.0, 2.0), (0.0, 2.0))
    return [Part("wall", "wall", 0, triangles)], [Area("b", outline, 0.0, 2.5)]


@target("text", read_house_file)
def house(folder: Path) -> Path:
    write_house_file(folder / "s.house", "s", *_house_parts())
    return folder / "s.house"


@target("bytes", lambda path: read_semantic_ply(path, ["object_id"]))
def semantic_ply(folder: Path) -> Path:
    write_semantic_ply(folder / "s_semantic.ply", _house_parts()[0])
    return folder / "s_semantic.ply"


def _replica(path: Path) -> None:
    rooms = ReplicaRooms(path.parents[2], simplify_faces=None)
    rooms.parts(rooms.room_ids(1, 0)[0])


@target("json", _replica)
def replica_info(folder: Path) -> Path:
    scene = folder / "room_0" / "habitat"
    scene.mkdir(parents=True)
    rows = [[face, k % 2] for k, face in enumerate(FACES)]
    faces = ("face", (*LIST, "int object_id"), rows)
    ply(scene / "mesh_semantic.ply", "binary_little_endian", ("vertex", XYZ, CORNERS), faces)
    objects = [{"id": 0, "class_name": "wall"}, {"id": 1, "class_name": "floor"}]
    return _text(scene / "info_semantic.json", json.dumps({"objects": objects}))


# --- responses ------------------------------------------------------------------------------------------------------


@target("bytes", lambda path: read_npy_rir(path, 2, 16_000))
def npy(folder: Path) -> Path:
    np.save(folder / "a.npy", np.zeros((2, 50), dtype=np.float32))
    return folder / "a.npy"


@target("text", lambda path: read_npy_rir(path, 2, 16_000))
def npy_header(folder: Path) -> Path:
    np.save(folder / "a.npy", np.zeros((2, 3), dtype=np.float32))
    return folder / "a.npy"


@target("bytes", lambda path: read_hrtf(path).responses())
def sofa_hrtf(folder: Path) -> Path:
    places = np.array([(a, e, 1.5) for e in (-45, 0, 45) for a in range(0, 360, 90)], dtype=np.float64)
    return write_hrtf(folder / "h.sofa", np.ones((len(places), 2, 8)), places)


def _described(path: Path) -> None:
    """Write the SOFA file that a JSON text describes, and read it; what HDF5 itself cannot write is passed over."""
    made = path.with_suffix(".sofa")
    try:
        with h5py.File(made, "w") as file:
            told = json.loads(path.read_bytes())
            file.attrs["SOFAConventions"] = told["convention"]
            for name, (shape, kind, value, attributes) in told["arrays"].items():
                data = file.create_dataset(name, tuple(shape), kind, fillvalue=value, chunks=True)
                data.attrs.update(attributes)
            _fill(file["SourcePosition"], [(a, e, 1.5) for e in (-45, 0, 45) for a in range(0, 360, 90)])
            _fill(file.get("ReceiverPosition"), [[[0.0], [0.09], [0.0]], [[0.0], [-0.09], [0.0]]])
    except (ValueError, TypeError, KeyError, OSError, AttributeError, OverflowError, RuntimeError, MemoryError):
        return
    read_hrtf(made).responses()


def _fill(data: Any, values: Any) -> None:
    """Put values into an array that is there and has the size for them."""
    if data is not None and data.shape == np.shape(values):
        data[:] = values


@target("json", _described)
def sofa_arrays(folder: Path) -> Path:
    metres = {"Type": "cartesian", "Units": "metre"}
    arrays = {
        "ListenerPosition": [[1, 3], "f8", 0.0, metres],
        "ReceiverPosition": [[2, 3, 1], "f8", 0.0, metres],
        "SourcePosition": [[12, 3], "f8", 1.0, {"Type": "spherical", "Units": "degree, degree, metre"}],
        "Data.IR": [[12, 2, 8], "f8", 1.0, {}],
        "Data.SamplingRate": [[1], "f8", 48_000.0, {"Units": "hertz"}],
        "Data.Delay": [[1, 2], "f8", 3.5, {}],
    }
    return _text(folder / "h.json", json.dumps({"convention": "SimpleFreeFieldHRIR", "arrays": arrays}))


def _bank_file(path: Path) -> None:
    file = SofaFile(path)
    file.responses([0, 1])


@target("bytes", _bank_file)
def sofa_bank(folder: Path) -> Path:
    at = np.array([[0.0, 0.0, 0.0]])
    responses = np.ones((2, 2, 16))
    return write_sofa(folder / "b.sofa", "SingleRoomSRIR", responses, at, np.array([[1.0, 0, 0], [0, 1.0, 0]]))


@target("json", lambda path: open_bank(path.parent))
def reverb_list(folder: Path) -> Path:
    entry = ReverbEntry("q9vSo1VnCiC/0.npy", (0.0, 1.5, 0.0), (1.0, 1.5, 0.0), np.ones((2, 8), dtype=np.float32))
    write_mp3d_reverb(folder, {"train": [entry], "eval": []})
    return folder / "train_reverberation.json"


# --- sounds and their labels ----------------------------------------------------------------------------------------


def _sound(path: Path) -> None:
    try:
        read_sound(path, min_duration_s=0.0)
    except OSError as error:
        raise BadSoundError(f"unreadable: {error}") from error


def _tone(subtype: str, form: str, samples: int = 150) -> bytes:
    stream = io.BytesIO()
    soundfile.write(stream, np.sin(np.arange(samples) / 9) / 2, 8000, subtype=subtype, format=form)
    return stream.getvalue()


@target("bytes", _sound)
def wav_header(folder: Path) -> Path:
    (folder / "a.wav").write_bytes(_tone("PCM_16", "WAV"))
    return folder / "a.wav"


@target("bytes", _sound)
def flac(folder: Path) -> Path:
    (folder / "a.flac").write_bytes(_tone("PCM_16", "FLAC"))
    return folder / "a.flac"


@target("bytes", _sound)
def ogg(folder: Path) -> Path:
    (folder / "a.ogg").write_bytes(_tone("VORBIS", "OGG"))
    return folder / "a.ogg"


@target("text", lambda path: FolderClips(path.parent, labels_file=path).records())
def label_table(folder: Path) -> Path:
    for name in ("a.wav", "b.wav"):
        (folder / name).write_bytes(_tone("PCM_16", "WAV", samples=1600))
    return _text(
        folder / "labels.csv",
        "# made by a test\npath,label,mid,licence,sha256\na.wav,Bark,,CC0,\nb.wav,Banjo;Howl,,CC BY 3.0,\n",
    )


@target("text", lambda path: read_segments([path]))
def segments(folder: Path) -> Path:
    return write_segments(folder / "s.csv", [Segment(f"abcdefghij{k}", 30.0 * k, ("Bark", "Banjo")) for k in range(4)])


@target("text", lambda path: read_strong([path]))
def strong_labels(folder: Path) -> Path:
    return write_strong(folder / "s.tsv", [(f"abcdefghij{k}", 30_000, 0.5, 2.5, "Bark") for k in range(4)])


@target("text", read_quality)
def label_quality(folder: Path) -> Path:
    return write_quality(folder / "q.csv", {"Bark": (10, 9), "Banjo": (10, 3)})


# --- records, answers, questions of others --------------------------------------------------------------------------


def _run(path: Path) -> None:
    folder = DatasetFolder(path.parents[1])
    folder.read_run()
    stored_recipe(folder)


@target("json", _run)
def run_record(folder: Path) -> Path:
    recipe = json.loads(json.dumps(asdict(RenderRecipe())))
    write_record(folder / "_spatialqa" / "run.json", run_of({"recipe": {"a": 1}}, recipe=recipe))
    return folder / "_spatialqa" / "run.json"


@target("json", lambda path: DatasetFolder(path.parents[2]).shards())
def shard_record(folder: Path) -> Path:
    path = folder / "_spatialqa" / "shards" / "train-00000-of-00001.json"
    write_record(path, shard_of("train-00000-of-00001", "f"))
    return path


@target("json", lambda path: read_json_lines(Reject, path))
def rejects(folder: Path) -> Path:
    return _text(folder / "r.jsonl", json_lines([Reject("draw", "train-00000001", 1, "it clips")]))


PREDICTIONS = [{"qa_id": f"train-0000000{k}-location-0", "prediction": "left, front; 2.5m"} for k in range(3)]


@target("json", read_predictions)
def predictions(folder: Path) -> Path:
    return _text(folder / "p.jsonl", json.dumps(PREDICTIONS[0]))


@target("text", read_predictions)
def predictions_of_two_columns(folder: Path) -> Path:
    return _text(folder / "p.txt", "".join(f"{row['qa_id']}\t{row['prediction']}\n" for row in PREDICTIONS))


@target("bytes", read_predictions)
def predictions_parquet(folder: Path) -> Path:
    pq.write_table(pa.Table.from_pylist(PREDICTIONS), folder / "p.parquet")
    return folder / "p.parquet"


def _import(path: Path) -> None:
    out = path.parent / "out"
    try:
        import_spatialsoundqa(path, out)
    finally:
        shutil.rmtree(out, ignore_errors=True)


@target("json", _import)
def released_questions(folder: Path) -> Path:
    return write_release(folder) / "eval.json"
