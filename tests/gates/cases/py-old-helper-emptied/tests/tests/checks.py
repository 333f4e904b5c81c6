def is_sum(found, wanted):
    return found, wanted
