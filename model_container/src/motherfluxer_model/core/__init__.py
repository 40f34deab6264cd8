"""The container's pure part: values in, values out; time and random draws come as arguments."""
