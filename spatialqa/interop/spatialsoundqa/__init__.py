"""SpatialSoundQA's released format: importer and exporter."""
