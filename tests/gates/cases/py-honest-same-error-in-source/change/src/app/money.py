def add(a, b):
    return a + b


def share(total, parts):
    return total / parts if parts else 0


def first(items):
    return items[0]
