"""What sounds: sets of labelled dry clips."""
