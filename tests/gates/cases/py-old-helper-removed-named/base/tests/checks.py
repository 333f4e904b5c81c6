def is_sum(found, wanted):
    assert found == wanted
