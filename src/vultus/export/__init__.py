"""From PyTorch to the files that the detectors and embedders run. Needs the extra `train`."""
