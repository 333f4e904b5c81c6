def add(a, b):
    return b + a


def share(total, parts):
    return total / parts


def first(items):
    return items[0]


def double(a):
    return 'wrong'
