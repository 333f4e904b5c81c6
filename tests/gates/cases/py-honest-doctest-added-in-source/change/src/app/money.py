def add(a, b):
    """Add two numbers.

    >>> add(0, 0)
    0
    >>> add(1, 2)
    3
    """
    return a + b


def double(a):
    """Double a number.

    >>> double(2)
    4
    """
    return 2 * a
