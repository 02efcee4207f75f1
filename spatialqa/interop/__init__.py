"""Data sets in other people's formats, and without what licences keep from being published."""

FORMATS = ("spatialsoundqa", "webdataset", "recipes")
