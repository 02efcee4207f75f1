"""The Hugging Face hub: what of a data set is published, what may not be, and the upload."""
