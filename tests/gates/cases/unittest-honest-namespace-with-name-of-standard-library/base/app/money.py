def add(a, b):
    return a + b


def first(items):
    return items[0]
