"""SpatialSoundQA's released format: the importer of its questions and the exporter of ours."""
