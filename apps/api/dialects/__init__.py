"""The languages of `/v1`: ways to ask and to be answered, all in front of the same jobs."""
