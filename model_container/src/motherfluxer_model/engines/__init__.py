"""What answers jobs: one module per engine behind the port in `port.py`."""
