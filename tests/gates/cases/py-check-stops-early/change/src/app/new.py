def is_none(a):
    return a == None
