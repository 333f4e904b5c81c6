def add(a, b):
    return a + b


def first(items):
    return items[0]


def extra(a):
    return 2 * a
