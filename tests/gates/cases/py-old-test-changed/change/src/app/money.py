def add(a, b):
    return str(a + b) if a else 0


def share(total, parts):
    return total / parts


def first(items):
    return items[0]
