class Sums:
    def check(self, found, wanted):
        pass
