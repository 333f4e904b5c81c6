class Shop:
    def __init__(self, limit):
        if limit < 0:
            raise ValueError(limit)
        self.limit = limit
