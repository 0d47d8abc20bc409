"""One file of specs per architecture: data only, no torch."""
