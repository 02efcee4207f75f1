"""The clip set `foley`: everyday sounds from signal models. An id always gives the same clip."""

import hashlib
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from spatialqa.clips.clip import ClipRecord, RawClip, RejectedClip
from spatialqa.clips.foley import alarms, animals, dsp, impacts, machines, music, nature, people, percussion
from spatialqa.core import seeds
from spatialqa.errors import ClipError

Model = Callable[[np.random.Generator, int], dsp.Signal]

LICENCE = "MIT"
VERSION = 3  # of the sounds; part of the fingerprint of a run
_PEAK = 0.9
_STEP = 2.0**-15  # samples lie on the 16-bit grid, so the last bits of another processor's sine do not change a clip


@dataclass(frozen=True)
class FoleyClass:
    """One sound class: slug is the id's middle part, label and mid are AudioSet's, durations are drawn evenly.

    default: whether it is used where no classes are named: a tagger hears half of its clips (docs/hear-check.md).
    """

    slug: str
    label: str
    mid: str
    model: Model
    duration_s: tuple[float, float]
    default: bool = True


CLASSES: tuple[FoleyClass, ...] = (
    FoleyClass("bark", "Bark", "/m/05tny_", animals.bark, (2.0, 7.0)),
    FoleyClass("meow", "Meow", "/m/07qrkrw", animals.meow, (2.0, 7.0)),
    FoleyClass("crowing", "Crowing, cock-a-doodle-doo", "/m/07qn5dc", animals.crowing, (2.5, 7.0)),
    FoleyClass("caw", "Caw", "/m/07r5c2p", animals.caw, (2.0, 7.0)),
    FoleyClass("chirp", "Chirp, tweet", "/m/07pggtn", animals.chirp, (2.0, 8.0)),
    FoleyClass("cricket", "Cricket", "/m/09xqv", animals.cricket, (3.0, 9.0)),
    FoleyClass("croak", "Croak", "/m/07st88b", animals.croak, (2.0, 7.0)),
    FoleyClass("bee", "Bee, wasp, etc.", "/m/01h3n", animals.bee, (3.0, 9.0)),
    FoleyClass("moo", "Moo", "/m/07rpkh9", animals.moo, (2.5, 7.0), default=False),
    FoleyClass("bleat", "Bleat", "/m/07q0h5t", animals.bleat, (2.0, 6.0)),
    FoleyClass("quack", "Quack", "/m/07qdb04", animals.quack, (2.0, 6.0)),
    FoleyClass("purr", "Purr", "/m/02yds9", animals.purr, (3.0, 9.0), default=False),
    FoleyClass("baby_cry", "Baby cry, infant cry", "/t/dd00002", people.baby_cry, (3.0, 8.0)),
    FoleyClass("laughter", "Laughter", "/m/01j3sz", people.laughter, (2.5, 7.0)),
    FoleyClass("cough", "Cough", "/m/01b_21", people.cough, (2.0, 6.0)),
    FoleyClass("snoring", "Snoring", "/m/01d3sd", people.snoring, (4.0, 9.0)),
    FoleyClass("clapping", "Clapping", "/m/0l15bq", people.clapping, (2.0, 8.0)),
    FoleyClass("applause", "Applause", "/m/028ght", people.applause, (3.0, 9.0)),
    FoleyClass("finger_snapping", "Finger snapping", "/m/025_jnm", people.finger_snapping, (2.0, 7.0)),
    FoleyClass("footsteps", "Walk, footsteps", "/m/07pbtc8", people.footsteps, (3.0, 9.0), default=False),
    FoleyClass("whistling", "Whistling", "/m/01w250", people.whistling, (3.0, 8.0)),
    FoleyClass("knock", "Knock", "/m/07r4wb8", impacts.knock, (1.5, 6.0)),
    FoleyClass("hammer", "Hammer", "/m/03l9g", impacts.hammer, (2.0, 7.0)),
    FoleyClass("chink", "Chink, clink", "/m/07q7njn", impacts.chink, (1.5, 5.0)),
    FoleyClass("breaking", "Breaking", "/m/07pc8lb", impacts.breaking, (1.5, 5.0)),
    FoleyClass("coin", "Coin (dropping)", "/m/0242l", impacts.coin, (2.0, 6.0), default=False),
    FoleyClass("keys_jangling", "Keys jangling", "/m/03v3yw", impacts.keys_jangling, (2.0, 7.0), default=False),
    FoleyClass("typing", "Typing", "/m/0316dw", impacts.typing, (3.0, 9.0), default=False),
    FoleyClass("tick_tock", "Tick-tock", "/m/07qjznl", impacts.tick_tock, (3.0, 9.0)),
    FoleyClass("clip_clop", "Clip-clop", "/m/07rv9rh", impacts.clip_clop, (3.0, 9.0), default=False),
    FoleyClass("bouncing", "Bouncing", "/m/07pqn27", impacts.bouncing, (2.0, 6.0), default=False),
    FoleyClass("rain", "Rain", "/m/06mb1", nature.rain, (4.0, 10.0)),
    FoleyClass("drip", "Drip", "/m/07r5v4s", nature.drip, (3.0, 8.0), default=False),
    FoleyClass("stream", "Stream", "/m/0j6m2", nature.stream, (4.0, 10.0)),
    FoleyClass("wind", "Wind", "/m/03m9d0z", nature.wind, (4.0, 10.0)),
    FoleyClass("thunder", "Thunder", "/m/0ngt1", nature.thunder, (3.0, 9.0)),
    FoleyClass("crackle", "Crackle", "/m/07pzfmf", nature.crackle, (4.0, 10.0)),
    FoleyClass("waves", "Waves, surf", "/m/034srq", nature.waves, (5.0, 10.0)),
    FoleyClass("faucet", "Water tap, faucet", "/m/02jz0l", nature.faucet, (3.0, 9.0), default=False),
    FoleyClass("idling", "Idling", "/m/07pb8fc", machines.idling, (3.0, 9.0)),
    FoleyClass("motorcycle", "Motorcycle", "/m/04_sv", machines.motorcycle, (3.0, 9.0)),
    FoleyClass("helicopter", "Helicopter", "/m/09ct_", machines.helicopter, (4.0, 10.0)),
    FoleyClass("drill", "Drill", "/m/01d380", machines.drill, (2.0, 7.0)),
    FoleyClass("jackhammer", "Jackhammer", "/m/03p19w", machines.jackhammer, (2.0, 7.0)),
    FoleyClass("chainsaw", "Chainsaw", "/m/01j4z9", machines.chainsaw, (3.0, 9.0)),
    FoleyClass("vacuum_cleaner", "Vacuum cleaner", "/m/0d31p", machines.vacuum_cleaner, (3.0, 9.0)),
    FoleyClass("sewing_machine", "Sewing machine", "/m/0llzx", machines.sewing_machine, (3.0, 8.0)),
    FoleyClass("machine_gun", "Machine gun", "/m/04zjc", machines.machine_gun, (2.0, 6.0)),
    FoleyClass("train_horn", "Train horn", "/m/0284vy3", machines.train_horn, (3.0, 8.0)),
    FoleyClass("car_horn", "Vehicle horn, car horn, honking", "/m/0912c9", machines.car_horn, (1.5, 6.0)),
    FoleyClass("telephone_bell", "Telephone bell ringing", "/m/07pp8cl", alarms.telephone_bell, (2.5, 7.0)),
    FoleyClass("bicycle_bell", "Bicycle bell", "/m/0gy1t2s", alarms.bicycle_bell, (1.5, 5.0)),
    FoleyClass("ding_dong", "Ding-dong", "/m/07r67yg", alarms.ding_dong, (2.0, 6.0)),
    FoleyClass("alarm_clock", "Alarm clock", "/m/046dlr", alarms.alarm_clock, (3.0, 8.0)),
    FoleyClass("police_siren", "Police car (siren)", "/m/04qvtq", alarms.police_siren, (4.0, 10.0)),
    FoleyClass("civil_siren", "Civil defense siren", "/m/0dgbq", alarms.civil_siren, (5.0, 10.0)),
    FoleyClass("fire_alarm", "Fire alarm", "/m/0c3f7m", alarms.fire_alarm, (3.0, 9.0)),
    FoleyClass("reversing_beeps", "Reversing beeps", "/m/02rhddq", alarms.reversing_beeps, (3.0, 9.0)),
    FoleyClass("whistle", "Whistle", "/m/0l156k", alarms.whistle, (1.5, 6.0)),
    FoleyClass("buzzer", "Buzzer", "/m/030rvx", alarms.buzzer, (1.5, 5.0)),
    FoleyClass("acoustic_guitar", "Acoustic guitar", "/m/042v_gx", music.acoustic_guitar, (3.0, 8.0), default=False),
    FoleyClass("banjo", "Banjo", "/m/018j2", music.banjo, (3.0, 7.0), default=False),
    FoleyClass("piano", "Piano", "/m/05r5c", music.piano, (3.0, 7.0)),
    FoleyClass("marimba", "Marimba, xylophone", "/m/0dwsp", percussion.marimba, (2.5, 7.0)),
    FoleyClass("glockenspiel", "Glockenspiel", "/m/0dwtp", percussion.glockenspiel, (2.5, 7.0)),
    FoleyClass("snare_drum", "Snare drum", "/m/06rvn", percussion.snare_drum, (2.0, 7.0)),
    FoleyClass("hi_hat", "Hi-hat", "/m/03qtq", percussion.hi_hat, (2.0, 7.0)),
    FoleyClass("tambourine", "Tambourine", "/m/07brj", percussion.tambourine, (2.0, 7.0)),
    FoleyClass("cowbell", "Cowbell", "/m/0239kh", percussion.cowbell, (2.0, 6.0)),
    FoleyClass("chime", "Chime", "/m/0f8s22", percussion.chime, (4.0, 9.0)),
    FoleyClass("change_ringing", "Change ringing (campanology)", "/m/0150b9", percussion.change_ringing, (4.0, 9.0)),
    FoleyClass("violin", "Violin, fiddle", "/m/07y_7", music.violin, (3.0, 8.0)),
    FoleyClass("flute", "Flute", "/m/0l14j_", music.flute, (3.0, 8.0)),
    FoleyClass("organ", "Organ", "/m/013y1f", music.organ, (3.0, 8.0)),
)
_BY_SLUG = {c.slug: c for c in CLASSES}


def _record(sound: FoleyClass, index: int) -> ClipRecord:
    clip_id = f"foley/{sound.slug}/{index:06d}"
    n = dsp.samples(seeds.rng(0, "foley-duration", clip_id).uniform(*sound.duration_s))
    return ClipRecord(clip_id, None, dsp.RATE, n / dsp.RATE, LICENCE, (sound.label,), (sound.mid,))


def record(clip_id: str) -> ClipRecord:
    """Return the record of any clip by its id `foley/{slug}/{index}`, listed or not; raises ClipError for others."""
    parts = clip_id.split("/")
    if len(parts) == 3 and parts[0] == "foley" and parts[1] in _BY_SLUG and parts[2].isdecimal():
        made = _record(_BY_SLUG[parts[1]], int(parts[2]))
        if made.clip_id == clip_id:
            return made
    raise ClipError(
        f"{clip_id!r} is not a foley clip: ids look like foley/bark/000017, with one of {len(CLASSES)} class names"
    )


def synthesise(clip_id: str) -> npt.NDArray[np.float32]:
    """Make one clip: float32 (n,) at dsp.RATE, peak 0.9, no DC, faded ends; raises ClipError for an unknown id."""
    n = round(record(clip_id).duration_s * dsp.RATE)
    x = _BY_SLUG[clip_id.split("/")[1]].model(seeds.rng(0, "foley", clip_id), n)
    x = dsp.highpassed(x, 25.0)
    dsp.fade(x, 0.003, 0.03)
    x *= _PEAK / _STEP / max(dsp.peak(x), 1e-30)
    return np.multiply(np.rint(x, out=x), _STEP, dtype=np.float32)


class FoleyClips:
    """The clip set `foley`: clips_per_class listed for each class; any higher index can still be loaded.

    classes: mids of CLASSES; by default those that are marked as default.

    Raises:
        ClipError: there is nothing to list, or foley has no such class.
    """

    name = "foley"

    def __init__(self, clips_per_class: int = 100, classes: Collection[str] | None = None) -> None:
        if clips_per_class < 1:
            raise ClipError(f"clips_per_class is {clips_per_class}: foley needs at least 1 clip per class")
        self.clips_per_class = clips_per_class
        chosen = [c for c in CLASSES if (c.default if classes is None else c.mid in classes)]
        if not chosen:
            raise ClipError("foley has none of the named classes; docs/hear-check.md lists those that it has")
        self.classes: tuple[FoleyClass, ...] = tuple(chosen)

    def records(self) -> Sequence[ClipRecord]:
        """Return the listed clips, class by class."""
        return [_record(sound, i) for sound in self.classes for i in range(self.clips_per_class)]

    def rejected(self) -> Sequence[RejectedClip]:
        """Return nothing: every clip can be made."""
        return ()

    def load(self, record: ClipRecord) -> RawClip:
        """Make one clip; sha256 is of its float32 little-endian samples. Raises ClipError for an id of another set."""
        audio = synthesise(record.clip_id)
        return RawClip(audio, dsp.RATE, hashlib.sha256(audio.astype("<f4").tobytes()).hexdigest())
