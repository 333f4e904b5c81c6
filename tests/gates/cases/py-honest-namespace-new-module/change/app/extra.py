def double(a):
    return 2 * a
