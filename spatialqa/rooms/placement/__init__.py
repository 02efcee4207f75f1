"""Placement of listeners and sources: free space, clearance, lines of sight."""
