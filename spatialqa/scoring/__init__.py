"""Scoring of predictions: parses free-form answers and computes SpatialSoundQA's metrics, with intervals."""
