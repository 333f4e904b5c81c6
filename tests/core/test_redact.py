"""Secrets are taken out of streams, however they are cut."""

from hypothesis import given
from hypothesis import strategies as st

from pipeline.core import redact

SECRET = "sk-ant-0123456789"


@given(
    before=st.text(max_size=30),
    after=st.text(max_size=30),
    cuts=st.lists(st.integers(1, 9), max_size=20),
)
def test_a_secret_never_comes_through_a_stream(before, after, cuts):
    data = f"{before}{SECRET}{after}".encode()
    stream, out, at = redact.RedactingStream([SECRET]), b"", 0
    for cut in cuts:
        out += stream.feed(data[at : at + cut])
        at += cut
    out += stream.feed(data[at:]) + stream.end()
    assert SECRET.encode() not in out
    assert out == data.replace(SECRET.encode(), b"[secret]")


def test_only_variables_that_sound_secret_and_are_long_enough_count():
    environ = {"API_KEY": SECRET, "SHORT_TOKEN": "abc", "HOME": "/nowhere/special"}
    assert redact.secrets(environ) == {SECRET: "API_KEY"}
    assert redact.redacted(f"use {SECRET}!", redact.secrets(environ)) == "use [API_KEY]!"
    assert redact.names_in(f"x{SECRET}".encode(), redact.secrets(environ)) == ["API_KEY"]
