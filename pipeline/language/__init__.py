"""The flow language: what a flow file may say, read, proven and compiled. Pure.

Knows nothing of runs.
"""
