"""The soundspaces engine: RLRAudioPropagation, called through its C interface."""
