"""Training code that all models share: loop, recipe keys, processes, checkpoints, run directory, plot."""
