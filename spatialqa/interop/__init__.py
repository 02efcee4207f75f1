"""Other formats: exports for other readers, exports without audio, and the importer of released questions."""

FORMATS = ("spatialsoundqa", "webdataset", "recipes")
