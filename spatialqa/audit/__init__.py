"""Can the answers be predicted from the text alone? Text-only baselines and their statistics."""
