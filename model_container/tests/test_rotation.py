"""A credential that ends while its file already holds the next one: the instance goes on."""

import asyncio
import time
from pathlib import Path

import pytest

from motherfluxer_model.desk import Desk
from motherfluxer_model.errors import CredentialRefusedError
from motherfluxer_model.link import Chance, Identity, Link
from motherfluxer_model.testing.engine import FedEngine
from motherfluxer_model.testing.router import ScriptedRouter


def write(file: Path, text: str) -> None:
    file.write_text(text)


def make_link(router: ScriptedRouter, file: Path) -> Link:
    write(file, "mfi_old")
    identity = Identity(router.url, "box-1", "mfi_old", credential_file=file)
    desk = Desk(FedEngine(), 1, time.monotonic)
    return Link(identity, desk, chance=Chance(draw=lambda: 0.0))


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "credential"


async def test_next_credential_is_taken_when_the_router_ends_the_old_one(file: Path) -> None:
    async with ScriptedRouter() as router:
        link = make_link(router, file)
        running = asyncio.create_task(link.run())
        first = await router.next_instance()
        write(file, "mfi_new")
        await first.websocket.close(4001, "rotated")
        second = await router.next_instance()
        assert second.authorization == "Bearer mfi_new"
        await second.websocket.close(4001, "revoked")
        with pytest.raises(CredentialRefusedError, match="revoked"):
            await running


async def test_refused_credential_ends_the_link_while_the_file_is_the_same(file: Path) -> None:
    async with ScriptedRouter() as router:
        router.refuse_with = (401, {})
        with pytest.raises(CredentialRefusedError, match="as told"):
            await make_link(router, file).run()
        assert router.refused_count == 1
