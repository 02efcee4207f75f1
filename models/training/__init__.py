"""What the training of every model shares: loop, recipe keys, processes, checkpoints, run directory, plot."""
