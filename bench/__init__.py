"""Measurements, run by hand with `./run bench NAME`; a figure says what it is held against in the same run."""
