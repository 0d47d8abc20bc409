"""The networks: one file an architecture, one of specs, and the registry."""
