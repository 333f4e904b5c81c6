def test_cache(pytestconfig):
    pytestconfig.cache.set("a/b", 1)
    assert pytestconfig.cache.get("a/b", 0) == 1
