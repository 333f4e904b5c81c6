def test_it(:
