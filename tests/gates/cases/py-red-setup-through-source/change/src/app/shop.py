class Shop:
    def __init__(self, limit):
        self.limit = max(0, limit)
