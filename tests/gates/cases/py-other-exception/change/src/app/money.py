def add(a, b):
    return a + b


def share(total, parts):
    if not parts:
        raise ValueError("no parts")
    return total / parts


def first(items):
    return items[0]
