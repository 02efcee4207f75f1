"""Predictions against questions: reads free-form answers and measures them as SpatialSoundQA does, with intervals."""
