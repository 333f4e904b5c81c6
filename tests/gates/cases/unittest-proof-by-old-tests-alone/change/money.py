def add(a, b):
    return b + a


def first(items):
    return items[0]


def double(a):
    return 'wrong'
