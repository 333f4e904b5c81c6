def test_it(no_such_fixture):
    assert 0
