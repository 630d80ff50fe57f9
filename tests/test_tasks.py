"""Task groups and background work: which error comes out, and how."""

from __future__ import annotations

from functools import partial

import anyio
import anyio.lowlevel
import anyio.to_thread
import pytest

from habit.errors import UsageError
from habit.tasks import Background, task_group, waited_for


async def test_the_error_of_a_task_comes_out_bare_with_its_cause() -> None:
    async def fail() -> None:
        raise ValueError("told") from KeyError("the reason")

    with pytest.raises(ValueError, match="told") as told:
        async with task_group() as group:
            group.start_soon(fail)
    assert isinstance(told.value.__cause__, KeyError)


@pytest.mark.parametrize(
    "failure", [ValueError("of the block"), ExceptionGroup("several", [ValueError("one"), TypeError("two")])]
)
async def test_an_error_beside_background_work_leaves_as_it_is(failure: Exception) -> None:
    failure.__cause__ = KeyError("the reason")
    cancelled = []

    async def work() -> None:
        try:
            await anyio.sleep_forever()
        finally:
            cancelled.append(True)

    async def fail() -> None:
        async with background.opened():
            await background.add(work)
            await anyio.wait_all_tasks_blocked()
            raise failure

    background = Background()
    with pytest.raises(type(failure)) as told:
        await fail()
    assert told.value is failure
    assert isinstance(failure.__cause__, KeyError)
    assert cancelled == [True]
    assert not background.busy


async def test_an_error_of_background_work_ends_the_block() -> None:
    async def fail() -> None:
        raise OSError("of the work")

    async def go_on() -> None:
        async with background.opened():
            await background.add(fail)
            await anyio.sleep_forever()

    background = Background()
    with pytest.raises(OSError, match="of the work"):
        await go_on()


async def test_background_work_goes_on_in_order_and_one_at_a_time() -> None:
    background, done = Background(), []

    async def work(number: int) -> None:
        for _ in range(3):
            await anyio.lowlevel.checkpoint()
            done.append(number)

    async with background.opened():
        for number in range(3):
            await background.add(partial(work, number))
        assert background.busy
        await background.settled()
        assert not background.busy
    assert done == [0, 0, 0, 1, 1, 1, 2, 2, 2]


async def test_nothing_is_waited_for_in_an_event_loop() -> None:
    async def work() -> int:
        return 7

    with pytest.raises(UsageError, match=r"notebook.*await it"):
        waited_for(work, instead="await it")
    assert await anyio.to_thread.run_sync(lambda: waited_for(work, instead="")) == 7
