"""AudioSet: segment lists with audio files, strong labels, and the Parquet files of the hub."""
