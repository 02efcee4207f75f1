"""What a training run of Spatial-AST logs and prints: its losses, and the localisation errors of validation."""

from typing import Any

from spatialqa.models.spatial_ast.losses import LOSS_COLUMNS
from spatialqa.models.spatial_ast.metrics import FEWEST_SOUNDS, FIGURES
from spatialqa.models.training.run_folder import LOSS, Report

SOUNDS = "sounds"  # the column of how many sounds the errors are of


class SpatialASTReport(Report):
    """The columns and the validation line of Spatial-AST."""

    examples = "sounds"
    loss_columns = LOSS_COLUMNS
    validation_columns = (*LOSS_COLUMNS, *FIGURES, SOUNDS)

    def validation_text(self, row: dict[str, Any]) -> str:
        """Return the loss and the main localisation errors; of few sounds counts instead of percentages."""
        n = int(row[SOUNDS])

        def share(value: float) -> str:
            return f"{100 * value:.1f} %" if n >= FEWEST_SOUNDS else f"{n * value:.0f}"

        return (
            f"{row[LOSS]:.3f}, MAE {row['mae_deg']:.1f} degrees, left or right {share(row['left_right'])}, "
            f"front or behind {share(row['front_behind'])}, DER {share(row['der'])} of {n} sounds"
        )
