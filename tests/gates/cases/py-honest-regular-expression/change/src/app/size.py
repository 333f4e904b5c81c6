import re


def size(text):
    match = re.fullmatch(r"(\d+)(k?)", text)
    if match is None:
        raise ValueError(text)
    return int(match[1]) * (1000 if match[2] else 1)
