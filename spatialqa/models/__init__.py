"""Two reference models that train and score on spatialqa data sets: Spatial-AST (encoder) and BAT (audio QA)."""
