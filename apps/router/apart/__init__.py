"""Gateways and the central router in processes of their own, with Redis between them."""
