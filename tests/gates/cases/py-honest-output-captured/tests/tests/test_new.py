from app.show import show


def test_show(capsys):
    show(3)
    assert capsys.readouterr().out == "3\n"
