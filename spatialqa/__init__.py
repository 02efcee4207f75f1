"""Spatial-audio question-answering data: plan scenes, render them in simulated rooms, ask questions about them."""

__version__ = "0.1.0"
