"""The reference models that learn from what spatialqa writes."""
