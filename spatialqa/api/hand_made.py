"""Scenes by hand: a listener and individually placed sources."""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import soundfile

from spatialqa.api.inputs import Clips, KeyedEngine, Room, default_clips, default_engine
from spatialqa.api.plan_view import PlanView, plan_view
from spatialqa.api.sources import Listener, Source
from spatialqa.api.values import instance, is_path, point, seed_value
from spatialqa.clips.decode import FFMPEG_SUFFIXES, SUFFIXES
from spatialqa.clips.prepare import PreparedClips
from spatialqa.clips.sound_files import SoundFile, WithSoundFiles, label_of
from spatialqa.core import seeds
from spatialqa.core.audio_io import write_scene_wav
from spatialqa.core.files import digest
from spatialqa.core.geometry import Vec3
from spatialqa.core.ontology import ontology
from spatialqa.core.recipe_keys import build
from spatialqa.core.scene import Scene
from spatialqa.core.scene import Source as SourceRecord
from spatialqa.errors import ClipError, DatasetError, PlacementError, RecipeError, SpatialQAError
from spatialqa.generation.audibility import InaudibleError, require_audible
from spatialqa.generation.inputs import heads_for
from spatialqa.generation.placements import PlacedScene, PlacedSource
from spatialqa.generation.plan import Planner
from spatialqa.generation.plan_placements import body_warnings, position_problems
from spatialqa.generation.playback import with_playback
from spatialqa.generation.recipe import RenderRecipe
from spatialqa.generation.render import ClippedSceneError, simulate
from spatialqa.generation.render import render_scene as render_planned
from spatialqa.generation.schedule import GroupSlot, group_id_of, scene_id_of
from spatialqa.qa.ask import ask as ask_scene
from spatialqa.qa.question import Question
from spatialqa.qa.question_modules import load_question_modules
from spatialqa.qa.recipe import QaRecipe
from spatialqa.qa.templating.templates import load_templates, templates_folder

Audio = npt.NDArray[np.float32]

_ROOM = "open_rooms(...).load(...)"


@dataclass(frozen=True, eq=False, repr=False)
class RenderedScene:
    """A rendered scene.

    audio: float32 (channels, n), within full scale: left and right, or W, Y, Z, X. rirs: float32 (channels, m), one for
    each source. truth: its record, whose `sources` say where each sound is and what was measured of it. placed and
    keys: what `save_scenes` needs.
    """

    audio: Audio
    truth: Scene
    rirs: Sequence[Audio]
    room: Room
    placed: PlacedScene
    keys: dict[str, Any]

    def __repr__(self) -> str:
        channels, n = self.audio.shape
        return (
            f"RenderedScene({len(self.sources)} sources in {self.room.room_id!r}: {channels} channels, "
            f"{n / self.sample_rate:g} s at {self.sample_rate} Hz)"
        )

    @property
    def sample_rate(self) -> int:
        """Of `audio` and `rirs`, Hz."""
        return self.truth.sample_rate

    @property
    def sources(self) -> tuple[SourceRecord, ...]:
        """The ground truth of each source."""
        return self.truth.sources

    def write(self, path: str | Path) -> None:
        """Write the audio as a WAV file of 24 bits.

        Raises:
            RecipeError: the name does not end in .wav.
            DatasetError: the file cannot be written.
        """
        file = Path(path)
        if file.suffix.lower() != ".wav":
            raise RecipeError(f"{file}: the audio is written as WAV; give it a name that ends in .wav")
        try:
            write_scene_wav(file, self.audio, self.sample_rate, self.truth.gain_db)
        except (OSError, soundfile.SoundFileError) as error:
            raise DatasetError(f"{file}: the audio cannot be written ({error}); is there such a folder?") from None

    def plot(self) -> PlanView:
        """Return a picture: the room from above and from behind, the listener, the sources, waveform and spectrogram.

        Left is the listener's left, and from above the nose points up. A notebook shows it; `.save("scene.svg")`
        writes it.
        """
        return plan_view(self.room, self.truth, self.audio)


def simulate_rirs(
    room: Room,
    listener: Listener,
    positions: Sequence[Vec3],
    *,
    engine: KeyedEngine | None = None,
    seed: int = 0,
    check_positions: bool = True,
) -> list[Audio]:
    """Return the room impulse response from each position to the listener.

    Args:
        room: of `open_rooms(...).load(...)`.
        listener: whose head.
        positions: world positions, metres: a sequence of (x, y, z), or an array (k, 3).
        engine: of `open_engine`; the default simulates at 32 kHz, two ears.
        seed: of the simulation, for engines that take one. The same arguments give the same samples.
        check_positions: refuse what lies in a wall, outside of the building or in the head.

    Returns:
        One float32 array (channels, n) for each position, at the engine's sample rate; n differs between them. Their
        scale is such that a source at 1 m in front has direct energy 1, unless the engine is opened otherwise.

    Raises:
        PlacementError: a position cannot be one; the message says why.
        RecipeError: an argument is of another type.
        EngineError: the engine failed.
    """
    _check_types("simulate_rirs", room, listener)
    seed = seed_value("simulate_rirs", seed)
    engine = default_engine() if engine is None else _engine("simulate_rirs", engine)
    points = [
        point("simulate_rirs", f"position {k}", position) for k, position in enumerate(_items("positions", positions))
    ]
    if not points:
        return []
    sources = tuple(PlacedSource(point, None, "-", 0.0, f"position {k}") for k, point in enumerate(points))
    placed = _placed(room, listener, sources)
    if check_positions:
        _check(room, placed, "check_positions=False")
    group_seed = seeds.derived_seed(seed, "placed group", digest(placed.positions()))
    with engine.using(room) as acoustic:
        return acoustic.rirs(listener.pose, points, group_seed)


def render_scene(
    room: Room,
    listener: Listener,
    sources: Sequence[Source],
    *,
    engine: KeyedEngine | None = None,
    clips: Clips | None = None,
    duration_s: float = 10.0,
    gain_db: float = -24.0,
    mix: str = "sum",
    clip_rms_dbfs: float = -14.0,
    audible_dbfs: float = -46.0,
    seed: int = 0,
    check_positions: bool = True,
) -> RenderedScene:
    """Render a scene that is placed by hand.

    Args:
        room: of `open_rooms(...).load(...)`.
        listener: where the head is and which way it faces.
        sources: at least one.
        engine: of `open_engine`; the default simulates at 32 kHz, two ears.
        clips: of `open_clips`: where classes and ids of clips are looked up; the synthesised foley clips by default.
        duration_s: length of the scene, s.
        gain_db: one constant gain on the sum, dB.
        mix: "sum", or "mean" to divide by the number of sources.
        clip_rms_dbfs: level that every clip is brought to, dB re full scale.
        audible_dbfs: level, before the gain, from which on a source can be heard (docs/labels.md).
        seed: of the clips that are drawn and of the simulation. The same arguments give the same samples.
        check_positions: refuse a listener or a source in a wall, outside of the building or in the head.

    A source inside the listener's body gives a UserWarning, and is rendered where it is: no body is simulated.

    Raises:
        PlacementError: a listener or a source cannot be where it is; the message says why.
        ClipError, RecipeError: there is no such clip, class or file, or a file has no label.
        RecipeError: an argument is of another type or out of its bounds.
        SpatialQAError: the mix peaks above full scale, or nothing can be heard; the message says what to do.
        EngineError: the engine failed.
    """
    _check_types("render_scene", room, listener)
    engine = default_engine() if engine is None else _engine("render_scene", engine)
    clips = default_clips() if clips is None else instance("render_scene", "clips", clips, Clips, "open_clips(...)")
    sources = [instance("render_scene", "a source", s, Source, "Source(...)") for s in _items("sources", sources)]
    if not sources:
        raise RecipeError("a scene needs at least one source")
    files = _sound_files(sources, clips)
    clip_set = WithSoundFiles(clips, [files[name] for name in sorted(files)]) if files else clips
    placed = _placed(room, listener, tuple(_placed_source(source, listener, files, clips) for source in sources))
    if check_positions:
        _check(room, placed, "check_positions=False")
    settings = {
        "duration_s": duration_s,
        "gain_db": gain_db,
        "mix": mix,
        "clip_rms_dbfs": clip_rms_dbfs,
        "audible_dbfs": audible_dbfs,
        "seed": seed,
        "check_placements": check_positions,
    }
    keys = {**room.keys, **clips.keys, **engine.keys, **settings}
    recipe = build(RenderRecipe, {**keys, "placements": "by hand"}, "render_scene")
    for warning in body_warnings(placed, recipe.body_radius_m):
        warnings.warn(warning, stacklevel=2)
    for source in placed.sources:
        if source.onset_s >= recipe.duration_s:
            raise RecipeError(
                f"{source.where}: onset_s {source.onset_s:g} must be less than duration_s {recipe.duration_s:g}"
            )
    records = clip_set.records()
    heads = heads_for(recipe)
    own_heads = {placed.split: list(heads.files)} if heads else {}
    planner = Planner(recipe, digest(recipe.identity()), engine.identity, {placed.split: records}, own_heads)
    slot = GroupSlot(group_id_of("train", 0), "train", room.room_id, (scene_id_of("train", 0),), placed=placed)
    group = planner.placed_group(slot, room, room.positions)
    (scene,) = planner.scenes(slot, group)
    prepared = PreparedClips(clip_set, recipe.sample_rate, recipe.clip_rms_dbfs)
    dry = [prepared.get(planner.placed_sounds.record("train", source.clip_id)) for source in scene.sources]
    scene = with_playback(scene, dry, recipe.fill, group.seed)
    with engine.using(room) as acoustic:
        simulated = simulate(group, acoustic, recipe.sample_rate, recipe.channels)
    try:
        rendered = render_planned(scene, simulated, dry, recipe.mix, recipe.audible_dbfs)
        require_audible(rendered.scene, by_hand=True)
    except ClippedSceneError as error:
        raise SpatialQAError(f"the scene {error}: lower gain_db (it is {recipe.gain_db:g} dB)") from None
    except InaudibleError as error:
        raise SpatialQAError(
            f"the scene is silent: {error}; move it nearer, use another clip, or lower audible_dbfs "
            f"(it is {recipe.audible_dbfs:g} dBFS)"
        ) from None
    return RenderedScene(
        rendered.audio, rendered.scene, list(simulated.rirs), room, _with_clips(placed, scene, files), keys
    )


def ask(
    scene: RenderedScene | Scene,
    types: Sequence[str] = ("A", "B"),
    *,
    templates: str | Path | None = None,
    question_modules: Sequence[str | Path] = (),
    seed: int = 0,
    **options: Any,
) -> list[Question]:
    """Return questions about one scene.

    A and B are asked of scenes with one source; C, D and E of scenes with several; X of both. What cannot be asked
    without doubt, because a source is too near the boundary of a word or two distances are too alike, is left out.

    Args:
        scene: of `render_scene`, or a record of a data set.
        types: some of A, B, C, D, E and X, or a type that a question module declares; also as one text, "D,E".
        templates: a folder of templates, or "paraphrases"; the bundled ones by default.
        question_modules: Python files or names of packages that declare own subtypes (docs/questions.md).
        seed: of the wording.
        options: other keys of make-qa: margins and forms, such as rationale=True.

    Raises:
        RecipeError: there is no such type or option.
        TemplateError: a template cannot be used.
    """
    made_by = "render_scene(...) or Dataset.records(...)"
    record = scene.truth if isinstance(scene, RenderedScene) else instance("ask", "scene", scene, Scene, made_by)
    values = {"types": types, "seed": seed, "question_modules": [str(name) for name in question_modules]}
    known = build(QaRecipe, values | options, "ask")
    own = load_question_modules(known.question_modules)
    own.subtypes.check_types(known.types)
    return ask_scene(
        record, known, load_templates(templates_folder(templates or None), own.subtypes, own.templates)
    ).questions


# --- from what a user writes to placed scenes -----------------------------------------------------------------------


def _check_types(who: str, room: Room, listener: Listener) -> None:
    instance(who, "room", room, Room, _ROOM)
    instance(who, "listener", listener, Listener, "Listener(...)")


def _engine(who: str, engine: KeyedEngine) -> KeyedEngine:
    return instance(who, "engine", engine, KeyedEngine, "open_engine(...)")


def _items(name: str, values: Any) -> list[Any]:
    """Return what an argument lists; raises RecipeError where it is not a list."""
    try:
        return list(values)
    except TypeError:
        raise RecipeError(f"{name} must be a list, and one is given that is a {type(values).__name__}") from None


def _placed(room: Room, listener: Listener, sources: tuple[PlacedSource, ...]) -> PlacedScene:
    return PlacedScene("scene", room.room_id, "train", listener.position, listener.yaw_deg, sources)


def _placed_source(source: Source, listener: Listener, files: dict[str, SoundFile], clips: Clips) -> PlacedSource:
    name, where = str(source.clip), source.where
    position = source.place(listener)
    if name in files or clips.find(name) is not None:
        return PlacedSource(position, name, source.label, source.onset_s, where, source.fill)
    if source.label is not None and label_of(source.label) != label_of(name):
        raise RecipeError(f"{where}: {clips.name} has no such clip, and there is no such file")
    return PlacedSource(position, None, name, source.onset_s, where, source.fill)


def _is_file(source: Source, clips: Clips) -> bool:
    name = str(source.clip)
    looks = is_path(source.clip) or name.lower().endswith((*SUFFIXES, *FFMPEG_SUFFIXES))
    return looks and clips.find(name) is None


def _sound_files(sources: Sequence[Source], clips: Clips) -> dict[str, SoundFile]:
    """Return the sound files that sources name, by that name; raises RecipeError where one has two labels."""
    files: dict[str, SoundFile] = {}
    for source in sources:
        if _is_file(source, clips):
            file = _sound_file(source)
            first = files.setdefault(file.clip_id, file)
            if first.label != file.label:
                raise RecipeError(
                    f"{source.where}: is labelled {first.label!r} and {file.label!r}; a recording has one label"
                )
    return files


def _sound_file(source: Source) -> SoundFile:
    path = Path(source.clip).absolute()
    if not path.is_file():
        raise ClipError(f"{path}: there is no such sound file")
    if source.label is None:
        raise RecipeError(f"{source.where}: say what it is a sound of, with label=")
    if near := ontology().misspelt(source.label):
        line = f"{source.where}: {source.label!r} is not an AudioSet class and is kept as it is; did you mean {near!r}?"
        warnings.warn(line, stacklevel=2)
    return SoundFile(str(source.clip), path, source.label)


def _with_clips(placed: PlacedScene, scene: Scene, files: dict[str, SoundFile]) -> PlacedScene:
    """Return a placed scene whose rows name the clips that were drawn; sound files by their whole path."""
    sources = []
    for source, record in zip(placed.sources, scene.sources, strict=True):
        if file := files.get(record.clip_id):
            sources.append(replace(source, clip=str(file.path)))
        else:
            sources.append(replace(source, clip=record.clip_id, label=None))
    return replace(placed, sources=tuple(sources))


def _check(room: Room, placed: PlacedScene, allow: str) -> None:
    problems = [
        f"{'the listener' if who is None else placed.sources[who].where} {problem}"
        for who, problem in position_problems(room.positions, placed)
    ]
    if problems:
        raise PlacementError(f"room {room.room_id!r}: {'; '.join(problems)}; move it, or allow it with {allow}")
