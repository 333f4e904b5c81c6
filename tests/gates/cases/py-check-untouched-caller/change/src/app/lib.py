def size(a: int) -> str:
    return str(a)
