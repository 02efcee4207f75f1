"""Signal models of everyday sounds. Each draws its parameters from an rng and returns n samples at dsp.RATE."""
