"""Where engines are: what can be asked is taken, what cannot is refused when it is set."""

import pytest
from pydantic import ValidationError

from server.backends.http import Upstream
from server.settings import Engine

GOOD = {
    "http://a": "http://a",
    "https://a:8000/v1/": "https://a:8000",
    "http://a:8000/v1": "http://a:8000",
    "http://[::1]:8000/base": "http://[::1]:8000/base",
    "http://me:secret@a_b": "http://me:secret@a_b",
}


@pytest.mark.parametrize(("given", "told"), GOOD.items())
def test_a_url_is_taken_without_the_end_that_clients_know(given, told):
    assert Engine(url=given).url == told
    Upstream(told)


BAD = [
    *("", "a:8000", "ftp://a", "http://", "http://:8000", "http://a:99999", "http://a:x", "http://a:0", "http://[::1"),
    *("http://a b", "http://a\r\nx: y", "http://ä", "http://a?b=c", "http://a#b"),
]


@pytest.mark.parametrize("url", BAD)
def test_a_url_at_which_nobody_can_be_asked_is_refused(url):
    with pytest.raises(ValidationError):
        Engine(url=url)


@pytest.mark.parametrize("key", ["a\r\nx: y", "a\n", "\x00"])
def test_a_key_that_ends_its_header_is_refused_and_not_told(key):
    with pytest.raises(ValidationError) as refused:
        Engine(url="http://a", api_key=key)
    assert "printable" in str(refused.value)
