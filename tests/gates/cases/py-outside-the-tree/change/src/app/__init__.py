__path__ = ["/nowhere", *__path__]
