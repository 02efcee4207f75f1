"""What every package shares: records, geometry, ontology, seeds, files, audio encoding, recipe keys, console."""
