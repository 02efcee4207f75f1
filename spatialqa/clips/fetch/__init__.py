"""Downloads public collections of recorded sounds: ESC-50, FSD50K, and AudioSet as the Hugging Face hub has it."""
