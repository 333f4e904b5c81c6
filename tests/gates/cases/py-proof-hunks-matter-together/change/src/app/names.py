from app.money import add

VERSION = (1, 2)

NAMES = {"add": add}


def names():
    return sorted(NAMES)


EXTRA = [1]
