"""Question templates: files, slots, and checks."""
