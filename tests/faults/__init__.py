"""Faults put into the code by hand, one at a time, each with the test that notices it."""
