"""Where habitat-sim keeps its compiled part."""
