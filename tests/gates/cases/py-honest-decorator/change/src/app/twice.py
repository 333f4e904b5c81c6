import functools


def twice(function):
    @functools.wraps(function)
    def both(*args):
        function(*args)
        return function(*args)

    return both
