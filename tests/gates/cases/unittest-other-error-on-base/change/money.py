def add(a, b):
    return a + b


def first(items):
    return items[0] if items else None
