def add(a, b):
    return a + b


def double(a):
    return 2 * a


def treble(a):
    return 3 * a
