"""Server errors in one line, without keys; Retry-After in both its forms."""

import time
from email.utils import formatdate

import pytest
from hypothesis import given
from hypothesis import strategies as st

from habit.calls.failures import failure_for_status, one_line, retry_after, said_by_server
from habit.calls.provider import TransientFailure
from habit.errors import CallFailed


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"Retry-After": "5"}, 5.0),
        ({"retry-after": "0.5"}, 0.5),
        ({"Retry-After-Ms": "250", "Retry-After": "9"}, 0.25),
        ({"Retry-After-Ms": "soon", "Retry-After": "9"}, 9.0),
        ({"Retry-After": "-3"}, 0.0),
        ({"Retry-After": "nan"}, None),
        ({"Retry-After": "inf"}, None),
        ({"Retry-After": "soon"}, None),
        ({"Retry-After": ""}, None),
        ({"Retry-After": "Wed, 21 Oct 2015 07:28:00 GMT"}, 0.0),
        ({}, None),
        (None, None),
    ],
)
def test_retry_after(headers, seconds):
    assert retry_after(headers) == seconds


def test_retry_after_as_a_date():
    seconds = retry_after({"Retry-After": formatdate(time.time() + 60, usegmt=True)})
    assert seconds is not None
    assert 50 < seconds <= 60


@pytest.mark.parametrize(
    ("body", "text"),
    [
        ({"error": {"message": "a"}}, "a"),
        ({"error": "b"}, "b"),
        ({"detail": [{"message": "c"}]}, "c"),
        ({"other": 1}, ""),
        ([], ""),
        ("d", "d"),
        (None, ""),
    ],
)
def test_what_the_server_said(body, text):
    assert said_by_server(body) == text


@pytest.mark.parametrize(
    "text",
    [
        "key sk-proj-abcdefgh12345678 is wrong",
        "Authorization: Bearer abcdefgh12345678",
        "at http://user:abcdefgh12345678@host/v1",
        "AIzaabcdefgh12345678",
        "my secret: abcdefgh12345678",
    ],
)
def test_keys_are_taken_out(text):
    assert "abcdefgh12345678" not in one_line(text, ["abcdefgh12345678"] if "secret" in text else [])


def test_a_key_broken_over_lines_is_taken_out_too():
    assert one_line("the key pass\nword is wrong", ["pass word"]) == "the key … is wrong"


@given(
    st.text(max_size=2000) | st.text("ab 12\n", max_size=50),
    st.lists(st.text("ab 12", min_size=4).map(str.strip), max_size=3),
)
def test_anything_becomes_one_short_line_without_the_secrets(text, secrets):
    line = one_line(text, secrets)
    assert len(line) <= 300
    assert line.isprintable()
    assert not any(len(secret) > 3 and secret in line for secret in secrets)


bodies = st.recursive(
    st.none() | st.text(max_size=9), lambda inner: st.lists(inner) | st.dictionaries(st.text(max_size=9), inner)
)


@given(st.integers(300, 599), bodies)
def test_every_status_with_any_body_is_a_failure_in_one_line(status, body):
    failure = failure_for_status(status, body, {}, model="m", key_name="KEY")
    assert isinstance(failure, CallFailed)
    assert "\n" not in str(failure)
    assert isinstance(failure, TransientFailure) is (failure.reason in ("rate_limited", "server", "timeout"))
    assert status < 500 or isinstance(failure, TransientFailure)
