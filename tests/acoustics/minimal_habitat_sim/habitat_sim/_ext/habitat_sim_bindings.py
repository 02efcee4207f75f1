"""Stands where habitat-sim has its compiled library; its bytes are what is hashed."""
