"""Procedural homes: floor plan, furniture, finishes, mesh."""
