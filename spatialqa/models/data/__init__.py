"""Training data: scenes as batches, cached features, and the provenance of training data."""
