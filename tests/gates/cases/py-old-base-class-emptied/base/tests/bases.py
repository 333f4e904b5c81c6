class Sums:
    def check(self, found, wanted):
        assert found == wanted
