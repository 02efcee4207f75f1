"""What a training run of Spatial-AST logs and prints: its losses, and the localisation errors of validation."""

from typing import Any

from spatialqa.models.spatial_ast.losses import LOSS_COLUMNS
from spatialqa.models.spatial_ast.metrics import FIGURES
from spatialqa.models.training.run_folder import LOSS, Report


class SpatialASTReport(Report):
    """The columns and the validation line of Spatial-AST."""

    examples = "sounds"
    loss_columns = LOSS_COLUMNS
    validation_columns = (*LOSS_COLUMNS, *FIGURES)

    def validation_text(self, row: dict[str, Any]) -> str:
        """Return the loss and the main localisation errors."""
        return (
            f"{row[LOSS]:.3f}, MAE {row['mae_deg']:.1f} degrees, left or right {100 * row['left_right']:.1f} %, "
            f"front or behind {100 * row['front_behind']:.1f} %, DER {100 * row['der']:.1f} %"
        )
