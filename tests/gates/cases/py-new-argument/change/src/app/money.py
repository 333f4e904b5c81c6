def add(a, b, c=0):
    return a + b + c


def share(total, parts):
    return total / parts


def first(items):
    return items[0]
