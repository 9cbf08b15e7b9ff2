"""Training recipes: one readable script for each model."""
