import asyncio, anyio, pytest, time, os
@pytest.fixture
async def thing():
    yield 1
    await anyio.sleep(0)
@pytest.mark.timeout(1)
async def test_hang(virtual, thing):
    await anyio.Event().wait()
@pytest.mark.timeout(1)
async def test_hang2(thing):
    await anyio.Event().wait()
@pytest.mark.timeout(1)
async def test_hang3(thing):
    with anyio.CancelScope(shield=True):
        await anyio.Event().wait()
async def test_ok(virtual, thing):
    await anyio.sleep(1)
async def test_ok2(thing):
    assert thing == 1
async def test_fail(thing):
    assert thing == 2
