from contextlib import contextmanager


@contextmanager
def held(said):
    said.append("in")
    yield
    said.append("out")
