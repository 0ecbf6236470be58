"""Matching a day: the queries' rows become differences, those of an earlier run that were not found again are gone."""

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
_GONE = "UPDATE bill_difference SET gone_at = $3 WHERE day = $1 AND run < $2 AND gone_at IS NULL"
_RESIDUAL = """
    SELECT 'fund_flow_mismatch' AS kind, $1::date::text AS reference, NULL AS out_trade_no, NULL AS out_refund_no,
        false AS waits, $6::jsonb AS facts
"""


async def match(session: AsyncSession, day: date, run: int, now: datetime) -> Flow | None:
    """Find what differs; returns the fund flow's figures, if its bill is in. Run by run the same rows give the same differences.

    Only bills that are in are believed: of one that could not be had, nothing is said to be missing.
    """
    connection = await raw(session)
    given = (day, *beijing.bounds(day), run, now)
    queries: list[str] = []
    if await _is_in(session, day, BillKind.TRADE):
        queries += trade_queries.ALL
    flow_is_in = await _is_in(session, day, BillKind.FUND_FLOW)
    if flow_is_in:
        queries += flow_queries.ALL
    for query in queries:
        await connection.execute(_REMEMBER.format(query=query), *given, timeout=PATIENCE_S)
    flow = None
    if flow_is_in:
        flow = Flow(**dict(await connection.fetchrow(flow_queries.FIGURES, day, timeout=PATIENCE_S)))
        if flow.residual_fen:
            facts = {"net_fen": flow.net_fen, "booked_fen": flow.booked_fen, "residual_fen": flow.residual_fen}
            sides = msgspec.json.encode({"bill": facts, "ours": None, "order": None}).decode()
            await connection.execute(_REMEMBER.format(query=_RESIDUAL), *given, sides)
    await connection.execute(_GONE, day, run, now, timeout=PATIENCE_S)
    return flow


async def _is_in(session: AsyncSession, day: date, kind: BillKind) -> bool:
    bill = await session.get(Bill, (day, kind))
    return bill is not None and bill.state in {BillState.VERIFIED, BillState.EMPTY}
