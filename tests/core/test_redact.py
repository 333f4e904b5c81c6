"""Secrets are taken out of texts, structs and streams, in whatever form, however they are cut."""

import base64
import json
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.core import redact
from pipeline.core.events import Item, ItemsFound, Noted
from pipeline.files.clocks import utc_now

SECRET = "sk-ant-0123456789"
ODD = 'p"w\\d/+ ü&=%?9'
secrets = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=8, max_size=40).map(
    lambda text: text.strip()
)
secrets = secrets.filter(lambda text: len(text) >= 8)


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


@given(secret=secrets, before=st.binary(max_size=7), after=st.binary(max_size=7))
def test_base64_hides_no_secret_wherever_it_begins(secret, before, after):
    data = before + secret.encode() + after
    redactor = redact.Redactor({secret: "KEY"})
    for text in (base64.b64encode(data), base64.urlsafe_b64encode(data)):
        assert redactor.found(text) == ["KEY"]
        assert "[KEY]" in redactor.text(text.decode())
        stream = redact.RedactingStream([secret])
        assert b"[secret]" in stream.feed(text[:5]) + stream.feed(text[5:]) + stream.end()


@given(secret=secrets)
def test_escaping_hides_no_secret(secret):
    redactor = redact.Redactor({secret: "KEY"})
    for text in (
        json.dumps(secret),
        json.dumps(secret, ensure_ascii=False),
        json.dumps(json.dumps({"a": secret}, ensure_ascii=False), ensure_ascii=False),
        quote(secret),
        quote(secret, safe=""),
        quote_plus(secret),
        secret.encode().hex(),
    ):
        assert redactor.found(text.encode()) == ["KEY"]
        assert redactor.found(redactor.text(text).encode()) == []


@pytest.mark.parametrize("width", [48, 60, 64, 76])
def test_base64_over_several_lines_hides_no_secret(width):
    redactor = redact.Redactor({SECRET: "KEY"})
    text = base64.b64encode(b"x" * 41 + SECRET.encode() + b"y" * 60).decode()
    text = "\n".join(text[at : at + width] for at in range(0, len(text), width))
    assert redactor.found(text.encode()) == ["KEY"]
    assert redactor.found(redactor.text(text).encode()) == []


def test_each_long_line_of_a_secret_of_several_lines_is_one():
    key = "-----BEGIN PRIVATE KEY-----\nMIIEvQIBADANBgkqhkiG9w0B\nshort\n-----END PRIVATE KEY-----"
    redactor = redact.Redactor({key: "KEY"})
    assert redactor.text("MIIEvQIBADANBgkqhkiG9w0B") == "[KEY]"
    assert redactor.text("-----BEGIN PRIVATE KEY----- short") == "-----BEGIN PRIVATE KEY----- short"


def test_only_variables_that_sound_secret_and_are_long_enough_count():
    environ = {"API_KEY": SECRET, "SHORT_TOKEN": "abc", "HOME": "/nowhere/special"}
    assert redact.secrets(environ) == {SECRET: "API_KEY"}
    redactor = redact.Redactor(redact.secrets(environ))
    assert redactor.text(f"use {SECRET}!") == "use [API_KEY]!"
    assert redactor.found(f"x{SECRET}".encode()) == ["API_KEY"]


def test_a_password_in_an_address_and_a_token_by_its_shape_are_secrets_of_any_variable():
    token = "ghp_" + "a1B2c3D4e5f6" * 3
    environ = {"DATABASE": "postgres://me:hunter22x@db/x", "NOTE": f"is {token}", "PLAIN": "words"}
    assert redact.secrets(environ) == {"hunter22x": "DATABASE", token: "NOTE"}
    assert (
        redact.without_url_passwords("at https://me:x1@host/a") == "at https://me:[password]@host/a"
    )


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("SSH_KEY_FILE", "/srv/me/.ssh/id_rsa"),
        ("SSH_AUTH_SOCK", "/tmp/agent.1234"),
        ("KEYCLOAK_KEY", "https://login.example.org/"),
        ("MAX_TOKENS", "100000000"),
        ("DB_PASSWORD", "localhost"),
        ("PWD", "/srv/me/work"),
        ("PWD", "/checkouts"),
        ("OLDPWD", "/Some Folder of mine/x"),
        ("KEY_FILE", "/checkouts/me/key.pem"),
    ],
)
def test_paths_addresses_and_common_words_are_no_secrets(name, value):
    assert redact.secrets({name: value}) == {}


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("AWS_SECRET_ACCESS_KEY", "/ab/0a1B2c3D4e5F6g7H8i9J0kLmNoPqRsTuVwXy"),
        ("DB_PASSWORD", "/mypass/word"),
        ("DB_PWD", "hunter22x"),
        ("PWD_OF_ADMIN", "hunter22x"),
    ],
)
def test_a_secret_that_begins_like_a_path_is_one(name, value):
    assert redact.secrets({name: value}) == {value: name}


@pytest.mark.parametrize("name", ["pwd", "PWD"])
def test_a_field_of_this_name_holds_a_secret_though_the_shells_variable_holds_none(name):
    assert redact.is_secret_name(name)


def test_what_is_public_is_left_out_and_nobody_looks_before_something_is_found():
    asked = []

    def find_public(texts):
        asked.append(texts)
        return {"in-the-base"} & set(texts)

    redactor = redact.Redactor({"in-the-base": "A_KEY", SECRET: "B_KEY"})
    redactor.leave_out(find_public)
    assert redactor.text("nothing") == "nothing"
    assert not asked
    assert redactor.text(f"in-the-base {SECRET}") == "in-the-base [B_KEY]"
    assert redactor.found(b"in-the-base") == []
    assert redactor.values() == (SECRET,)
    assert len(asked) == 1


def test_structs_are_cleaned_in_depth_but_for_the_fields_to_keep():
    redactor = redact.Redactor({SECRET: "KEY"})
    items = (Item(key=SECRET, value={"a": [SECRET, 1], SECRET: None}), Item(key="b"))
    event = ItemsFound(at=utc_now(), stage=SECRET, items=items)
    clean = redactor.fields(event, frozenset({"stage"}))
    assert clean.stage == SECRET
    assert clean.items == (
        Item(key="[KEY]", value={"a": ["[KEY]", 1], "[KEY]": None}),
        Item(key="b"),
    )
    note = Noted(at=event.at, text="nothing")
    assert redactor.fields(note) is note
