from helpers import twice


def double(a):
    return twice(a)
