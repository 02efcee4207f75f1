"""The habitat engine: habitat-sim's audio sensor in a Python process of its own."""
