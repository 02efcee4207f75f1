"""The commands of `spatialqa`, by theme."""
