import uuid

import pytest


@pytest.mark.parametrize("token", [str(uuid.uuid4())])
def test_token(token):
    assert len(token) == 36
