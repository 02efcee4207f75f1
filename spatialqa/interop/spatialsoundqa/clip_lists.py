"""Lists of dry clips as Spatial-AST's own loader reads them: clips with labels, the classes, sampling weights.

That loader pairs clips with RIRs at random, so these lists say nothing of scenes and questions.
"""

import csv
import io
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath

from spatialqa.core.files import commit_json, commit_text
from spatialqa.core.ontology import ontology

FOLDER = "metadata"
CLASSES = "class_labels_indices_subset.csv"
_COUNT_OFFSET, _SCALE = 0.01, 1000.0  # of the reference's sampling weights


def write_clip_lists(root: Path, clips: Mapping[str, Mapping[str, Sequence[str]]]) -> int:
    """Write metadata/: a JSON list and sampling weights for every split, and the table of classes.

    Args:
        root: of the export.
        clips: for every split, by its released name, the class ids of each dry clip, `SPLIT/audio/NAME`.

    Returns:
        The number of classes: the 355 of SpatialSoundQA in AudioSet's order, then others that the clips have.
    """
    classes = class_rows({mid for own in clips.values() for labels in own.values() for mid in labels})
    text = io.StringIO()
    rows = csv.writer(text, lineterminator="\n")
    rows.writerow(("index", "mid", "display_name"))
    rows.writerows((index, *row) for index, row in enumerate(classes))
    commit_text(root, f"{FOLDER}/{CLASSES}", text.getvalue())
    for split, own in clips.items():
        listed = []
        for audio_id, labels in own.items():
            path = PurePosixPath(audio_id)
            listed.append({"folder": str(path.parent), "id": path.name, "label": list(labels)})
        commit_json(root / FOLDER / f"{split}.json", listed)
        each = weights(list(own.values()))
        commit_text(root, f"{FOLDER}/{split}_weight.csv", "".join(f"{weight:.18e}\n" for weight in each))
    return len(classes)


def class_rows(used: set[str]) -> list[tuple[str, str]]:
    """Return id and name of every class: SpatialSoundQA's 355, then those of `used` that are none of them."""
    nodes = {node.mid: node for node in ontology().nodes}
    paper = sorted((n for n in nodes.values() if n.in_spatialsoundqa), key=lambda n: n.class_index or 0)
    rows = [(node.mid, node.name) for node in paper]
    others = used.difference(mid for mid, _ in rows)
    return rows + [(mid, nodes[mid].name if mid in nodes else mid) for mid in sorted(others)]


def weights(labels: Sequence[Sequence[str]]) -> list[float]:
    """Return how often each clip is to be sampled, relative to the others: rare classes count more."""
    count = Counter(mid for own in labels for mid in own)
    return [sum(_SCALE / (count[mid] + _COUNT_OFFSET) for mid in own) for own in labels]
