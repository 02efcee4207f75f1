"""Banks of room impulse responses, which replace rooms and engine."""
