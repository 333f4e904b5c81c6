def add(a, b):
    """Add.

    >>> add(0, 0)
    0
    """
    return a + b
