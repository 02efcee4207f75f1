"""Tables of facts that ship with the package; each names its source in its first lines."""
