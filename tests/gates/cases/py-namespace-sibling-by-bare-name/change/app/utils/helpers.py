def twice(a):
    return 2 * a
