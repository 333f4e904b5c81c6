def test_it():
    assert double(2) == 4
