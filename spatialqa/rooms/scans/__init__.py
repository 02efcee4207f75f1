"""Scanned houses: Matterport3D, HM3D, Gibson, Replica."""
