"""Signal models of everyday sounds: each draws its parameters from a Generator and returns n samples at dsp.RATE."""
