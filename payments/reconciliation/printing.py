"""A report for people at a terminal: counts, and yuan."""

from kit.money import yuan
from payments.reconciliation.figures import Figures
from payments.reconciliation.report import BillRow, Report


def table(report: Report) -> str:
    """A day in a dozen lines."""
    trouble = [f"  {report.last_error}"] if report.last_error else []
    lines = [f"{report.day}  {report.state}", *trouble, *(_bill(bill) for bill in report.bills)]
    if report.figures is not None:
        lines += _sides(report.figures) + _account(report.figures) + _differences(report.figures)
    return "\n".join(lines)


def _bill(bill: BillRow) -> str:
    rows = "" if bill.rows is None else f", {bill.rows} rows"
    trouble = f" ({bill.last_error})" if bill.last_error else ""
    return f"  {bill.kind} bill: {bill.state}{rows}{trouble}"


def _sides(found: Figures) -> list[str]:
    bill, ours, orders = found.bill, found.ours, found.orders
    return [
        f"  {'':10}{'bill':>24}{'ours':>24}{'orders':>24}",
        f"  {'payments':10}{_cell(bill.payments, bill.payments_fen)}{_cell(ours.payments, ours.payments_fen)}"
        + _cell(orders.paid, orders.paid_fen),
        f"  {'refunds':10}{_cell(bill.refunds, bill.refunds_fen)}{_cell(ours.refunds, ours.refunds_fen)}",
    ]


def _cell(count: int, fen: int) -> str:
    return f"{count:>9}{yuan(fen):>15}"


def _account(found: Figures) -> list[str]:
    booked, flow = found.booked, found.flow
    lines = [
        f"  booked: fees {yuan(booked.fees_fen)}, coupons {yuan(booked.coupons_fen)}; net settlement {yuan(booked.net_fen)}"
    ]
    if flow is not None:
        lines.append(f"  account: in {yuan(flow.income_fen)}, out {yuan(flow.expense_fen)}, net {yuan(flow.net_fen)}")
        lines.append(
            f"  of it: booked {yuan(flow.booked_fen)}, in transit {yuan(flow.in_transit_fen)},"
            f" bank {yuan(flow.bank_fen)}, suspense {yuan(flow.suspense_fen)}"
        )
    return lines


def _differences(found: Figures) -> list[str]:
    kinds = [(name, kind) for name, kind in found.kinds.items() if kind.open or kind.waiting]
    sums = (
        f"  matched {found.matched}, repaired {found.repaired}, open {found.open}, waiting {found.waiting},"
        f" decided {found.decided}"
    )
    return [sums, *(f"    {name}: {kind.open} open, {kind.waiting} waiting" for name, kind in kinds)]
