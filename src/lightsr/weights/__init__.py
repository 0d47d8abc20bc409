"""Weights: the ones that are shipped, reading others safely, and putting them into networks."""
