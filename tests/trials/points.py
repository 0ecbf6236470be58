"""Where a process may die between two effects: every place by name, what leads to it, and what is done by then.

A place is `module:function:before|after|found`. The deeds stand in `deeds`.
"""

from typing import NamedTuple


class Point(NamedTuple):
    place: str
    deed: str
    done: str
    """The last effect before the death."""


SERVING = [
    Point("shop.orders.placing:_together:before", "place", "nothing"),
    Point("shop.orders.inking:write:before", "place", "priced, nothing written"),
    Point("shop.orders.inking:write:after", "place", "committed, not answered"),
    Point("payments.charges:begin_due:before", "prepay", "nothing"),
    Point("payments.wechatpay.gateway:Gateway.create:before", "prepay", "intent committed, WeChat not told"),
    Point("payments.wechatpay.gateway:Gateway.create:after", "prepay", "WeChat accepted, nothing of it written"),
    Point("payments.charges:opened:after", "prepay", "token and answer committed, not sent"),
    Point("kit.idempotency:through:after", "prepay", "answer committed, not sent"),
    Point("shop.orders.closing:_intend:after", "cancel", "intent written, not committed"),
    Point("payments.wechatpay.gateway:Gateway.close:before", "cancel", "intent committed, WeChat not told"),
    Point("payments.wechatpay.gateway:Gateway.close:after", "cancel", "WeChat closed it, nothing of it written"),
    Point("payments.wechatpay.gateway:Gateway.query:after", "cancel", "WeChat said so, nothing of it written"),
    Point("payments.attempts:take_over:after", "cancel", "attempt closed, not committed"),
    Point("shop.orders.closing:_finish:before", "cancel", "attempt's close committed, the goods not back"),
    Point("shop.orders.closing:_cancel:after", "cancel", "the goods back, not committed"),
    Point("shop.orders.closing:_finish:after", "cancel", "cancelled and committed, not answered"),
    Point("payments.inbox:Inbox._store:before", "pay", "the notice verified"),
    Point("payments.inbox:Inbox._store:after", "pay", "the notice stored"),
    Point("payments.bulk:_lock:after", "pay", "rows locked"),
    Point("shop.orders.payee:paid_together:after", "pay", "the order paid, the payment not, nothing committed"),
    Point("payments.bulk:settle:after", "pay", "committed, WeChat not answered"),
    Point("payments.asking:ask:before", "refresh", "nothing"),
    Point("payments.attempts:take_over:after", "refresh", "settled, not committed"),
    Point("payments.asking:ask:after", "refresh", "committed, the buyer not answered"),
    Point("payments.settlement:send_back:after", "late", "a refund promised, its case not written"),
    Point("payments.notices:handle:after", "late", "refund and case written, not committed"),
    Point("payments.notices:take:after", "late", "refund committed, WeChat not answered"),
    Point("payments.refunds.promising:claim:after", "refund", "the money claimed, no job"),
    Point("kit.jobs:enqueue:after", "refund", "the job promised, not committed"),
    Point("kit.idempotency:once:after", "refund", "answer kept, not committed"),
    Point("payments.refunds.booking:done:after", "refund", "WeChat's success booked, not committed"),
    Point("payments.notices:take:after", "refund", "WeChat's success committed, WeChat not answered"),
]
WORKING = [
    Point("kit.working:_run:before", "refund", "the job claimed"),
    Point("payments.refunds.submitting:_set_out:after", "refund", "written that it is being sent, not committed"),
    Point("payments.wechatpay.gateway:Gateway.refund:before", "refund", "intent committed, WeChat not told"),
    Point("payments.wechatpay.gateway:Gateway.refund:after", "refund", "WeChat accepted, nothing of it written"),
    Point("payments.refunds.learning:learn:after", "refund", "learned, not committed"),
    Point("kit.working:_run:after", "refund", "all committed, the job not ticked off"),
    Point("payments.asking:sweep:found", "ask", "put off to its next turn, not committed"),
    Point("payments.asking:ask:before", "ask", "its turn used up"),
    Point("payments.wechatpay.gateway:Gateway.query:after", "ask", "WeChat said so, nothing of it written"),
    Point("payments.settlement:book:after", "ask", "booked, the order not told"),
    Point("payments.attempts:take_over:after", "ask", "settled, not committed"),
    Point("shop.orders.closing:due:found", "time_out", "put off, not committed"),
    Point("shop.orders.closing:time_out:before", "time_out", "its turn used up"),
    Point("payments.wechatpay.gateway:Gateway.close:after", "time_out", "WeChat closed it, nothing of it written"),
    Point("shop.orders.closing:_cancel:after", "time_out", "the goods back, not committed"),
    Point("payments.notices:due:found", "unhandled", "a stored notice is due"),
    Point("payments.notices:handle:after", "unhandled", "handled, not committed"),
]
