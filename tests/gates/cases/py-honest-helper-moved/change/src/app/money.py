def add(a, b):
    return a + b


def share(total, parts):
    return total / parts


def first(items):
    return items[0]


def double(a):
    return 2 * a
