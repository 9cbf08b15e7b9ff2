"""Aligned faces to unit vectors, and the contract that says which vectors compare."""

from vultus.defaults import DEFAULT_EMBEDDER
from vultus.embed.embedder import SessionEmbedder
from vultus.embed.loading import embedder_names, load_embedder

__all__ = ["DEFAULT_EMBEDDER", "SessionEmbedder", "embedder_names", "load_embedder"]
