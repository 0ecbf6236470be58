from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import tills
from world import World

from kit.clock import ManualClock
from kit.database import Database
from shop.settings import Settings


@pytest.fixture
async def till(
    settings: Settings, db: Database, sql: Any, clock: ManualClock, wechat_world: World, tmp_path: Path
) -> AsyncIterator[tills.Till]:
    async with tills.opened(settings, db, sql, clock, wechat_world, tmp_path) as till:
        yield till
