class Box:
    def __init__(self, room):
        self.room = room
        self.items = []

    def put(self, item):
        if len(self.items) >= self.room:
            raise OverflowError(item)
        self.items.append(item)
