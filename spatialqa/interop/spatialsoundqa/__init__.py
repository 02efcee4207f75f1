"""Other people's questions in our schema."""
