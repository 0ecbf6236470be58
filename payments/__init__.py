"""Money in, money back: WeChat Pay charges, notifications, refunds. Knows no order and no member.

What a payment is for is an opaque text, `payable`; who must be told implements `ports.Payee`.

A charge, from the wish to the sheet
    `charges.begin` writes the attempt as an intent under the payable's lock, or finds the live one → one that does not fit
    (`charges.fits`) is ended first: `asking.close` closes it at WeChat (a combination as a whole by `combined`, a payment
    code by a reverse in `counter`) and confirms by query → `charges.open_token` has it at WeChat, and what opens it in the
    client is kept with it. When no news comes, `asking.sweep` and `asking.ask` find out.

A notification, from the wire to the order
    `controllers.receive_pay_notice` takes the raw bytes → `inbox.Inbox`: `wechatpay.notification.verify` (freshness,
    serial, signature), without the database; transaction 1 writes it down, with those that came at the same moment →
    transaction 2 (`bulk.settle`) settles those that are plain in every respect, and `Payee.paid_together` takes the money
    for their orders. What is not plain is applied by itself, as everything else that brings news of money:
    `notices.handle` → `settlement.settle` locks the payment, compares account, amount and currency, marks it received →
    `Payee.paid` takes the money for the order, or declines, and then the refund and its case are written right there →
    204. If transaction 2 fails the answer is a 500; WeChat repeats, and the worker retries what is written down.

A refund, from the wish to the buyer
    `refunds.request` claims the amount on the payment, writes the intent and promises the job, in the caller's
    transaction → `refunds.submit` (the job) asks WeChat, by query first if it was tried before → `refunds.learn` takes over
    what WeChat says, from an answer, a notification or the worker's own question, and tells `Payee.refunded` at the end.

Context: nine well-known shops either keep money that arrives late or believe what they are told. Decision: every payment
received is applied to exactly one payable, or has its refund written in the same transaction. Consequence: `settle` is
the only way in for whatever is not plain, whoever brings the news. Alternative: a bus of events; it loses what fails half
way.
"""
