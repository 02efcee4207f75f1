"""What a person looks at: drawings of scenes and rooms, and pages for a browser."""
