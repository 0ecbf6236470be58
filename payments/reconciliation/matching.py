"""Matching a day: the queries' rows become differences, those of an earlier run that were not found again are gone."""

from collections.abc import Sequence
from datetime import date, datetime

import msgspec
from sqlalchemy.ext.asyncio import AsyncSession

from kit.database import raw
from payments.reconciliation import beijing, flow_queries, trade_queries
from payments.reconciliation.figures import Flow
from payments.reconciliation.keeping import PATIENCE_S
from payments.reconciliation.models import Bill, BillKind, BillState

_REMEMBER = """
    WITH bounds AS (SELECT $2::timestamptz, $3::timestamptz), found AS ({query})
    INSERT INTO bill_difference (day, kind, reference, out_trade_no, out_refund_no, facts, run, waits, found_at)
    SELECT DISTINCT ON (kind, reference) $1::date, kind, reference, out_trade_no, out_refund_no, facts,
        $4::bigint, waits, $5::timestamptz
    FROM found
    ON CONFLICT (day, kind, reference) DO UPDATE SET run = EXCLUDED.run, facts = EXCLUDED.facts, waits = EXCLUDED.waits,
        noted_at = CASE WHEN bill_difference.gone_at IS NULL THEN bill_difference.noted_at END, gone_at = NULL
"""
_GONE = """
    UPDATE bill_difference SET gone_at = $3
    WHERE day = $1 AND run < $2 AND gone_at IS NULL AND CASE WHEN starts_with(kind, 'fund_flow_') THEN $5::bool ELSE $4 END
"""
_RESIDUAL = """
    SELECT 'fund_flow_mismatch' AS kind, $1::date::text AS reference, NULL AS out_trade_no, NULL AS out_refund_no,
        false AS waits, $6::jsonb AS facts
"""


async def match_trade(session: AsyncSession, day: date, run: int, now: datetime) -> bool:
    """Find what differs between the trade bill, ours and the orders. Run by run the same rows give the same differences.

    Only a bill that is in is believed: of one that could not be had, nothing is said to be missing. Was it in?
    """
    if not await _is_in(session, day, BillKind.TRADE):
        return False
    await _remember(session, trade_queries.ALL, day, run, now)
    return True


async def match_flow(session: AsyncSession, day: date, run: int, now: datetime) -> Flow | None:
    """Find what differs between the fund flow and the ledger; returns its figures.

    The trade bill must be in, and what it says of fees be booked: without them nothing would fit.
    """
    if not (await _is_in(session, day, BillKind.TRADE) and await _is_in(session, day, BillKind.FUND_FLOW)):
        return None
    await _remember(session, flow_queries.ALL, day, run, now)
    connection = await raw(session)
    flow = Flow(**dict(await connection.fetchrow(flow_queries.FIGURES, day, timeout=PATIENCE_S)))
    if flow.residual_fen:
        facts = {"net_fen": flow.net_fen, "booked_fen": flow.booked_fen, "residual_fen": flow.residual_fen}
        sides = msgspec.json.encode({"bill": facts, "ours": None, "order": None}).decode()
        await _remember(session, [_RESIDUAL], day, run, now, sides)
    return flow


async def forget_gone(session: AsyncSession, day: date, run: int, now: datetime, *, trade: bool, flow: bool) -> None:
    """What this run did not find again is gone, as far as it has looked: at the `trade` bill, at the fund `flow`."""
    await (await raw(session)).execute(_GONE, day, run, now, trade, flow, timeout=PATIENCE_S)


async def _remember(
    session: AsyncSession, queries: Sequence[str], day: date, run: int, now: datetime, *more: str
) -> None:
    connection = await raw(session)
    for query in queries:
        given = (day, *beijing.bounds(day), run, now, *more)
        await connection.execute(_REMEMBER.format(query=query), *given, timeout=PATIENCE_S)


async def _is_in(session: AsyncSession, day: date, kind: BillKind) -> bool:
    bill = await session.get(Bill, (day, kind))
    return bill is not None and bill.state in {BillState.VERIFIED, BillState.EMPTY}
