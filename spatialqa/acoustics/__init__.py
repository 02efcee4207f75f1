"""Acoustic engines: from a room, a listener and sources to room impulse responses."""
