"""How the networks learn, in PyTorch: losses, data, trainer, recipes. Needs the extra `train`."""
