def add(a, b):
    return a + b


def share(total, parts):
    return total / parts


def first(items):
    return items[0]


def median(items):
    if len(items) > 1:
        return sorted(items)[len(items) // 2]
    return items[0]
