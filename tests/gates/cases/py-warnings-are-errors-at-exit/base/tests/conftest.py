import os
import threading


def pytest_unconfigure(config):
    if any(t.name == "left" for t in threading.enumerate()):
        os._exit(7)
