"""Room + listener + sources -> room impulse responses. Nothing outside this package knows which engine runs."""
