"""Training data: reading annotated pictures, augmenting them, and turning them into what a loss expects."""
