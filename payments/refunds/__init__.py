"""Money back: promised in the caller's transaction, carried out by a job, ended by what WeChat says.

`rules` what may be promised at all · `promising` the claim, the intent, the job · `deciding` the second person ·
`submitting` bringing it to WeChat · `learning` what WeChat says of it · `portal` what we did not ask for · `asking` after
silence · `booking` the ledger.

Locks: payment, then (by the payee) the order, then the refund: whoever changes a refund's state holds its payment, so
the refund's own row is read under that lock and written last.

Context: a refund whose outcome is unknown must not be made twice, whoever asks for it and whatever died meanwhile.
Decision: its number is derived from its cause. Consequence: a lost row or a second server asks WeChat for the very same
refund. Alternative: a random number that is kept; it is lost with the transaction that made it.
"""

from payments.refunds.asking import ask as ask
from payments.refunds.asking import sweep as sweep
from payments.refunds.deciding import OwnRefund as OwnRefund
from payments.refunds.deciding import RefundNotFound as RefundNotFound
from payments.refunds.deciding import RefundNotWaiting as RefundNotWaiting
from payments.refunds.deciding import approve as approve
from payments.refunds.deciding import get as get
from payments.refunds.deciding import reject as reject
from payments.refunds.learning import learn as learn
from payments.refunds.locking import find_applied as find_applied
from payments.refunds.locking import lock_payment as lock_payment
from payments.refunds.portal import FOLLOW_JOB as FOLLOW_JOB
from payments.refunds.promising import JOB as JOB
from payments.refunds.promising import begin_again as begin_again
from payments.refunds.promising import number_of as number_of
from payments.refunds.promising import request as request
from payments.refunds.rules import PaidElsewhere as PaidElsewhere
from payments.refunds.rules import RefundTooLate as RefundTooLate
from payments.refunds.rules import RefundTooMuch as RefundTooMuch
from payments.refunds.rules import TooManyRefunds as TooManyRefunds
from payments.refunds.submitting import submit as submit
