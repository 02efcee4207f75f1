"""Common foundations: records, geometry, ontology, seeds, files, audio encoding, recipe keys, console."""
