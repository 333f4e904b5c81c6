"""What a repository is.

Its parts, how each is tested and checked, and what its history says of its customs.
"""
