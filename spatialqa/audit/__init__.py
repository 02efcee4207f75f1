"""Can the answers be guessed without listening? Text-only guessers and their statistics."""
