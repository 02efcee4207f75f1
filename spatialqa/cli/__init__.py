"""The command line: commands, options from recipe keys, and what they print."""
