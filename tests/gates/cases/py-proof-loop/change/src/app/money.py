def add(a, b):
    return a + b


def share(total, parts):
    return total / parts


def first(items):
    return items[0]


def count(n):
    total = 0
    while total < n:
        total += 1
    return total
