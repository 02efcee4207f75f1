"""Recipe keys that all models share: device, precision, and how a training runs.

A model's recipe inherits these and adds its own; command line options and recipe keys are the same fields. No torch
here: the command line reads these classes before it knows whether anything will be trained.
"""

import dataclasses
from dataclasses import dataclass
from typing import Any

from spatialqa.core.names import table_name_fault
from spatialqa.core.recipe_keys import LARGEST_SEED, as_before, check_bounds, key
from spatialqa.errors import RecipeError

MOST_EPOCHS = 1_000_000
MOST_AT_ONCE = 100_000  # questions or sounds in a batch
MOST_WORKERS = 1024


@dataclass(frozen=True)
class ComputeKeys:
    """The machine and the precision that a model is computed with."""

    device: str = key(
        "auto", "device; auto uses a GPU if there is one", choices=("auto", "cpu", "cuda"), execution=True
    )
    compile: bool = key(False, "compile the model (torch.compile), on a CPU with a C++ compiler", execution=True)
    amp: str = key("auto", "use bf16 for matrix products; auto does so on a GPU", choices=("auto", "bf16", "off"))
    threads: int | None = key(
        None,
        "CPU threads of torch; default 1, or those that the run began with",
        minimum=1,
        maximum=1024,
        execution=True,
    )

    def __post_init__(self) -> None:
        check_bounds(self)
        name = getattr(self, "qa_name", None)
        if name is not None and (fault := table_name_fault(name)):
            raise RecipeError(fault)

    def identity(self) -> dict[str, Any]:
        """Return the keys that decide the result: no execution keys, and of paths only that they were given.

        A key with the value that held before there was the key is left out.
        """
        identity: dict[str, Any] = {}
        for f in dataclasses.fields(self):
            value = getattr(self, f.name)
            if not f.metadata["execution"] and not as_before(f, value):
                identity[f.name] = "given" if f.metadata["path"] and value is not None else value
        return identity


@dataclass(frozen=True)
class TrainingKeys(ComputeKeys):
    """The keys of every training; `run`, `patience` and `seed` have their defaults and help in the model's recipe."""

    run: str = key("spatialqa-run", "folder for checkpoints, logs and plots", path=True, execution=True)
    time_limit_min: float | None = key(
        None,
        "stop after this many minutes, including the time to fill the cache; the same command resumes",
        minimum=0.0,
        maximum=1e6,
        execution=True,
    )
    checkpoint_s: float = key(60.0, "seconds between checkpoints", minimum=0.0, maximum=1e6, execution=True)
    patience: int | None = key(
        0, "early stopping: epochs without a better validation loss; 0 disables it", minimum=0, maximum=MOST_EPOCHS
    )
    clip_norm: float | None = key(1.0, "greatest norm of the gradient; 0 disables clipping", minimum=0.0, maximum=1e6)
    leaks: str = key(
        "refuse",
        "contamination: refuse to train if another data set holds out the house or clip of a training scene, or leave "
        "such scenes out",
        choices=("refuse", "leave-out"),
    )
    leave_out_classes: tuple[str, ...] = key(
        (),
        "classes, or a file with one a line: bat trains and validates on no question that names one, spatial-ast on no "
        "scene in which one sounds",
        before=(),
    )
    seed: int = key(0, "seed of everything random", minimum=0, maximum=LARGEST_SEED)

    def identity(self) -> dict[str, Any]:
        """Return the keys that decide the result, see ComputeKeys; classes that are left out are there by name."""
        identity = super().identity()
        if self.leave_out_classes:
            identity["leave_out_classes"] = list(self.left_out_classes())
        return identity

    def left_out_classes(self) -> tuple[str, ...]:
        """Return the labels of the classes that are left out, in lower case; raises RecipeError, see read_classes."""
        from spatialqa.qa.named_classes import read_classes

        return read_classes(self.leave_out_classes)
