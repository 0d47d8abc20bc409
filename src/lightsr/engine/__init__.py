"""Enlarging pictures: whole or in tiles, within the memory there is, on any backend."""
