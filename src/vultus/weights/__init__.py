"""Public weights: what is known about them (`catalog`), and getting the right bytes (`store`)."""
