"""What the training of every model shares: loop, processes, checkpoints, run directory, plots."""
