"""The networks in PyTorch, one file each. They end at raw outputs. Needs the extra `train`."""
