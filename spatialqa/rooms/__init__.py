"""Room sets, their materials, and the placement of listeners and sources."""
