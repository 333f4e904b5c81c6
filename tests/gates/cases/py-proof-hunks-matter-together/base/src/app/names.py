from app.money import add

NAMES = {"add": add}


def names():
    return sorted(NAMES)


EXTRA = []
