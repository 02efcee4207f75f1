"""Choose an acoustic engine by name."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from spatialqa.acoustics.engine import Engine
from spatialqa.errors import EngineError, SpatialQAError, shown

AUTO = "geometric"  # what `auto` takes
ENGINE_NAMES = ("auto", "geometric", "soundspaces", "habitat")


def engine_taken(name: str) -> str:
    """Return the name of the engine that a name means: "auto" means geometric."""
    return AUTO if name == "auto" else name


def kernels_are_kept() -> bool:
    """Tell whether the kernels of geometric have been compiled already, which takes about half a minute."""
    from spatialqa.acoustics import geometric
    from spatialqa.core.compiled import are_kept

    return are_kept(Path(geometric.__path__[0]) / "late_synthesis.py")


class Availability(NamedTuple):
    """Whether an engine can be used here, and if not, what to do."""

    name: str
    usable: bool
    how_to_get: str


def open_engine(
    name: str,
    sample_rate: int,
    preset: str = "fast",
    overrides: Mapping[str, Any] | None = None,
    hrtf: Path | None = None,
    channels: str = "binaural",
    habitat_python: str | None = None,
    habitat_materials: bool = True,
    cache: Path | None = None,
    timeout_s: float = 0.0,
) -> Engine:
    """Return a configured engine; its identity tells which one `auto` took.

    Args:
        name: one of ENGINE_NAMES; "auto" takes geometric.
        sample_rate: Hz.
        preset: "fast" or "reference".
        overrides: engine settings that replace the preset's.
        hrtf: a SOFA file, a folder of them (rooms then have `rirs_of_subject`), or None for the engine's own HRTF.
        channels: "binaural" or "foa"; of geometric also "mono" and "stereo".
        habitat_python: the Python that has habitat-sim; None takes this one.
        habitat_materials: whether habitat gives objects the materials of their categories.
        cache: where an HRTF file is kept in the form that engines read; None takes the default cache.
        timeout_s: for one group, of an engine that can end a call of its own (habitat); 0 is no limit.

    Raises:
        EngineError: the name is unknown, the engine is not in this version, or it refuses its configuration.
        MissingDependencyError: the engine's package is not installed.
    """
    name = engine_taken(name)
    _refuse_settings_of_another(name, overrides or {})
    if name == "geometric":
        from spatialqa.acoustics.geometric.engine import GeometricEngine

        return GeometricEngine(sample_rate, preset, overrides, hrtf, channels)
    if name == "soundspaces":
        from spatialqa.acoustics.soundspaces.engine import SoundSpacesEngine

        return SoundSpacesEngine(sample_rate, preset, overrides, hrtf, channels, hrtf_cache=cache)
    if name == "habitat":
        from spatialqa.acoustics.habitat.engine import HabitatEngine

        _refuse_folder(hrtf)
        from spatialqa.rooms.materials import material
        from spatialqa.rooms.mesh.mesh_rooms import DEFAULT_MATERIAL
        from spatialqa.rooms.scans.matterport_tables import mpcat40_materials

        named = {name: material(of or DEFAULT_MATERIAL) for name, of in mpcat40_materials().items()}
        return HabitatEngine(
            sample_rate,
            preset,
            overrides,
            hrtf,
            habitat_python,
            channels,
            named if habitat_materials else None,
            timeout_s=timeout_s,
            hrtf_cache=cache,
        )
    raise _unknown(name)


def check_engine(
    name: str,
    sample_rate: int,
    preset: str = "fast",
    overrides: Mapping[str, Any] | None = None,
    hrtf: Path | None = None,
    channels: str = "binaural",
) -> None:
    """Check what `open_engine` is to be given, where no engine is opened: none needs to be installed.

    Raises:
        EngineError: the engine would refuse its configuration, or the name is unknown.
        MissingDependencyError: there is an HRTF file, and no package that reads it.
    """
    name = engine_taken(name)
    _refuse_settings_of_another(name, overrides or {})
    if name == "geometric":
        from spatialqa.acoustics.geometric import settings as geometric_settings

        geometric_settings.checked(sample_rate, preset, overrides, hrtf, channels)
        if hrtf is not None and not hrtf.is_dir():
            from spatialqa.acoustics.sofa import read_hrtf

            read_hrtf(hrtf.absolute())
        return
    if name == "soundspaces":
        from spatialqa.acoustics.soundspaces import settings

        settings.checked(sample_rate, preset, overrides, hrtf, channels)
    elif name == "habitat":
        from spatialqa.acoustics.habitat import engine

        engine.checked(sample_rate, preset, overrides, channels)
        _refuse_folder(hrtf)
    else:
        raise _unknown(name)
    if hrtf is not None and not hrtf.is_dir():
        from spatialqa.acoustics.hrtf import checked_hrtf

        checked_hrtf(hrtf.absolute(), sample_rate, name)


def _refuse_settings_of_another(name: str, overrides: Mapping[str, Any]) -> None:
    """Raise EngineError where a setting is one of another engine: what it does there is done nowhere else."""
    from spatialqa.acoustics.geometric.settings import KINDS as GEOMETRIC
    from spatialqa.acoustics.soundspaces.settings import KINDS as SOUNDSPACES

    other, known, others = {
        "geometric": ("soundspaces", GEOMETRIC, SOUNDSPACES),
        "soundspaces": ("geometric", SOUNDSPACES, GEOMETRIC),
    }.get(name, ("", overrides, {}))
    for setting in overrides:
        if setting not in known and setting in others:
            raise EngineError(
                f"the engine {name} has no setting {setting!r}, which is one of {other}: add --engine {other}"
            )


def _refuse_folder(hrtf: Path | None) -> None:
    if hrtf is not None and hrtf.is_dir():
        raise EngineError(f"the engine habitat has one head, and {hrtf} is a folder: give a file of it")


def _unknown(name: str) -> EngineError:
    return EngineError(f"there is no engine {shown(name)}: choose one of {', '.join(ENGINE_NAMES)}")


def available(habitat_python: str | None = None) -> list[Availability]:
    """Return every engine in the order in which `auto` prefers them; habitat as this Python has it."""
    return [
        Availability("geometric", *_geometric()),
        _soundspaces(),
        Availability("habitat", *_habitat(habitat_python)),
    ]


def _soundspaces() -> Availability:
    from spatialqa.acoustics.soundspaces import rlr_api

    try:
        loaded = rlr_api.library()
        loaded.default_configuration()
    except SpatialQAError as error:
        return Availability("soundspaces", False, str(error))
    return Availability("soundspaces", True, f"rlr-audio-propagation {loaded.version}, CC-BY-NC-4.0")


def _geometric() -> tuple[bool, str]:
    try:
        from spatialqa.acoustics.geometric.embree import check_library
        from spatialqa.rooms.mesh.ray_library import has_embree

        check_library()
    except ImportError:
        return False, "needs the package numba: pip install numba"
    except SpatialQAError as error:
        return False, str(error)
    return True, "built in, MIT" if has_embree() else "built in, MIT; rays without Embree"


def _habitat(python: str | None) -> tuple[bool, str]:
    from spatialqa.acoustics.habitat.engine import installed

    return installed(python)
