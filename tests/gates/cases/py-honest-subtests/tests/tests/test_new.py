from app.fizz import fizz


def test_fizz():
    for n, wanted in ((1, "1"), (3, "fizz"), (5, "buzz"), (15, "fizzbuzz")):
        assert fizz(n) == wanted
