"""Small files in the form in which SpatialSoundQA (arXiv 2402.01591) is released, with made-up content."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tests.fixtures.datasets import rows_of

# The head is at (1, 1.5, 2) and faces -z: left is -x, front is -z, above is +y.
SENSOR = "1.0,1.5,2.0"
PLACES = {
    "q9vSo1VnCiC/0.npy": "0.0,2.0,0.0",  # left, front, above; 2.3 m
    "q9vSo1VnCiC/1.npy": "3.0,1.0,3.0",  # right, behind, below; 2.3 m
    "q9vSo1VnCiC/2.npy": "1.5,2.5,-2.5",  # right, front, above; 4.6 m
    "XcA2TqTSSAj/0.npy": "0.0,1.0,2.5",  # left, behind, below; 1.2 m
}
BANJO, WHACK, DOG = "eval/audio/YZX2fVPmUidA", "eval/audio/YjNjUU01quLs", "eval/audio/YI-HlrcP6Qg4"
_KEYS = ("audio_id", "reverb_id", "audio_id2", "reverb_id2", "question_id", "question_type", "question", "answer")


def _record(
    number: int, kind: str, sounds: Sequence[tuple[str, int | str]], question: str, answer: str
) -> dict[str, Any]:
    (a, ra), (b, rb) = (*sounds, (None, None))[:2]
    named = [f"q9vSo1VnCiC/{r}.npy" if isinstance(r, int) else r for r in (ra, rb)]
    return dict(zip(_KEYS, (a, named[0], b, named[1], number, kind, question, answer), strict=True))


ONE = [(DOG, "XcA2TqTSSAj/0.npy")]
TWO = [(BANJO, 0), (WHACK, 2)]
RECORDS = [
    _record(0, "CLASSIFICATION", ONE, "Enumerate the sound occurrences in the audio clip.", "bark; dog; yip"),
    _record(1, "DOA", ONE, "How would you describe the location of the sound?", "left, behind, below; 1m"),
    _record(
        2,
        "MIXUP_SINGLE_CLASSIFICATION",
        TWO,
        "What are the distinct sounds present in this audio clip originating from the right, front, above, about 4.5 "
        "meters distant?",
        "slap, smack; whack, thwack",
    ),
    _record(3, "MIXUP_SINGLE_DOA", TWO, "Where is the sound of the banjo coming from?", "left, front, above; 2.5m"),
    _record(
        4, "MIXUP_DIRECTION", TWO, "Is the sound of the banjo on the left of the sound of the whack, thwack?", "Yes"
    ),
    _record(
        5,
        "MIXUP_DIRECTION",
        TWO,
        "Are the sound of banjo and the sound of whack, thwack both positioned to your left?",
        "No",
    ),
    _record(6, "MIXUP_DISTANCE_BOTH", TWO, "Is the banjo closer to you than the whack, thwack?", "Yes"),
    _record(
        7,
        "MIXUP_NONBINARY_DISTANCE",
        TWO,
        "How far away is the sound of the banjo from the sound of the whack, thwack?",
        "3m",
    ),
    _record(8, "MIXUP_NONBINARY_SOURCE", TWO, "Which sound is on your left?", "banjo"),
    _record(
        9, "MIXUP_NONBINARY_DIRECTION", TWO, "Is the banjo to the right or to the left of the whack, thwack?", "left"
    ),
]


def write_release(root: Path, records: Any = None, split: str = "eval", wrapped: bool = True) -> Path:
    """Write a question file and the places of its RIRs as they are released."""
    root.mkdir(parents=True, exist_ok=True)
    records = RECORDS if records is None else records
    (root / f"{split}.json").write_text(json.dumps({"data": records} if wrapped else records))
    items = [{"fname": name, "sensor_position": SENSOR, "source_position": at} for name, at in PLACES.items()]
    (root / "mp3d_reverb").mkdir(exist_ok=True)
    (root / "mp3d_reverb" / f"{split}_reverberation.json").write_text(json.dumps({"data": items}))
    return root


def write_truth(path: Path, root: Path) -> Path:
    path.write_text(
        "".join(json.dumps({"qa_id": r["qa_id"], "prediction": r["answer"]}) + "\n" for r in rows_of(root, "qa"))
    )
    return path
