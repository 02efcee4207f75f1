"""Benchmarks: CPU time of rendering by stage, of mesh simplification, and of reading lists of clips."""
