def evens(stop):
    for n in range(stop):
        if n % 2 == 0:
            yield n
