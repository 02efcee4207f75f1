"""What can be heard in a data set: classes by a tagger that the user names, directions by interaural differences."""
