"""Tables of facts that ship with the package; the first lines of each name its source."""
