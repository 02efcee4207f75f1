"""Banks of room impulse responses that stand in for rooms and engine."""
