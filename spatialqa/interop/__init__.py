"""Other formats: exports for other readers, exports without audio, and the importer of released questions."""

FORMATS = (
    *("chat", "audio", "lhotse", "dcase2022", "dcase2024", "dcase2025"),
    *("webdataset", "spatialsoundqa", "recipes"),
)
