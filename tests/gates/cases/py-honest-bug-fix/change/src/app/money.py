def add(a, b):
    return a + b


def share(total, parts):
    return round(total / parts, 2)


def first(items):
    return items[0]
