"""Spatial-AST: the model, its training, evaluation and inference."""
