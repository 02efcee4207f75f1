"""Spatial-AST: the audio encoder, its training, evaluation and inference."""
