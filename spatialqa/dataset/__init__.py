"""The data set on disk: schema, shard transaction, reading, validation, card."""
