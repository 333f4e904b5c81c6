def add(a, b):
    return a + b if a else 1


def first(items):
    return items[0]


def double(a):
    return 2 * a
