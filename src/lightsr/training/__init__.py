"""Training: recipe, data, Lightning module, run folder."""
