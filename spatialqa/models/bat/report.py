"""What a training run of BAT logs and prints: its loss, and the validation loss of every type of question."""

from typing import Any

from spatialqa.models.bat.recipe import TYPES
from spatialqa.models.training.run_folder import LOSS, Report


class BATReport(Report):
    """The columns and the validation line of BAT."""

    examples = "questions"
    loss_columns = (LOSS,)
    validation_columns = (LOSS, *(f"loss_{kind}" for kind in TYPES))

    def validation_text(self, row: dict[str, Any]) -> str:
        """Return the loss, and that of every type that validation has."""
        by_type = ", ".join(f"{kind} {row[f'loss_{kind}']:.3f}" for kind in TYPES if f"loss_{kind}" in row)
        return f"{row[LOSS]:.3f} ({by_type})"
