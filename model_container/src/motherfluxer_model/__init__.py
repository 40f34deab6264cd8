"""The model container's program: runs a language model and serves it to a MotherFluxer router."""

__version__ = "0.1.0"
