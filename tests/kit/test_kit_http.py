"""What was answered is gone when nobody needs it any more, without the garbage collector."""

import gc
import weakref
from collections.abc import Iterator

import httpx
import pytest

from kit.http import untie

pytestmark = pytest.mark.anyio


@pytest.fixture
def nobody_collects() -> Iterator[None]:
    gc.disable()
    yield
    gc.enable()


@pytest.mark.usefixtures("nobody_collects")
async def test_an_answer_that_was_read_and_untied_is_gone_at_once() -> None:
    async with httpx.AsyncClient(transport=httpx.MockTransport(lambda _: httpx.Response(200, text="好"))) as http:
        left = []
        for is_untied in (False, True):
            async with http.stream("GET", "https://wechat.example/") as response:
                read = b"".join([piece async for piece in response.aiter_bytes()])
            if is_untied:
                untie(response)
            assert (response.status_code, read) == (200, "好".encode())
            left.append(weakref.ref(response))
            del response
        assert left[0]() is not None, "httpx itself has no circle any more: `untie` is needless"
        assert left[1]() is None
