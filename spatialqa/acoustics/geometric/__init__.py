"""The geometric engine: an open acoustic simulation of triangle meshes by image sources and rays."""
