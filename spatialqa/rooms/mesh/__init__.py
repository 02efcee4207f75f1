"""Rooms from mesh files: reading, simplification, cache."""
