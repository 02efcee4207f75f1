"""Whether a tagger's first classes name a label: the class itself, or its direct parent or child."""

from functools import cache

import numpy as np
import numpy.typing as npt

from spatialqa.core.ontology import ontology


@cache
def accepted(mid: str) -> frozenset[str]:
    """Return the mids that name this class: itself, and its direct parents and children.

    A parent or child counts only if it is neither abstract nor at the top of the ontology: "Animal" does not name a
    bark. Raises ClipError for an unknown mid.
    """
    tree = ontology()
    near = [tree.by_mid(parent) for parent in tree.by_mid(mid).parents]
    near += [node for node in tree.nodes if mid in node.parents]
    return frozenset({mid, *(node.mid for node in near if node.parents and not node.abstract)})


def best_rank(scores: npt.NDArray[np.float32], mids: tuple[str, ...], label: str) -> int | None:
    """Return the best rank, from 1 on, that a class that names `label` has in any frame.

    The rank is the number of classes with a higher score, plus half of the other classes with an equal one (rounded
    up), plus 1: quantised taggers give many equal scores. None where the tagger knows no class that names the label.

    Args:
        scores: (frames, classes).
        mids: of the classes.
        label: a mid.
    """
    names = accepted(label)
    columns = [i for i, mid in enumerate(mids) if mid in names]
    if not columns:
        return None
    best = scores[:, columns].max(axis=1, keepdims=True)
    others = np.delete(scores, columns, axis=1)
    rank = 1 + (others > best).sum(axis=1) + np.ceil((others == best).sum(axis=1) / 2).astype(int)
    return int(rank.min())
