"""The generation pipeline: from a recipe to committed shards of scenes."""
