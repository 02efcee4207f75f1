"""Acoustic engines: room impulse responses from a room, a listener and sources."""
