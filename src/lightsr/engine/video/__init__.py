"""Enlarging videos: read, convert colours, enlarge, encode in segments, join."""
