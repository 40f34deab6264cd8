"""The language motherfluxer.v1 between a model instance and the router: frames and their codec."""
