def is_sum(found, wanted):
    difference = found - wanted
    assert difference == 0, f'{found} is not {wanted}'
