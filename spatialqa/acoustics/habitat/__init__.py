"""The habitat engine: habitat-sim's audio sensor in a separate Python process."""
