"""Evaluation: quality on a folder of pictures, cost of a network, exact low-resolution pictures."""
