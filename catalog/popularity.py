"""How often a product was sold, as lists show and sort it.

Context: the exact figure is in the stock rows. Decision: a sweep copies it to the product, once a minute or so.
Consequence: lists sort on an index and run some minutes behind. Alternative: raising it with every sale would rewrite a
wide row and all its indexes for each paid order, and lock products while money is being settled.
"""

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

_REFRESH = text(
    """
    UPDATE product p SET sold = p.sold_before + s.sold
    FROM (SELECT k.product_id, sum(s.sold)::bigint AS sold FROM stock s JOIN sku k ON k.id = s.sku_id
          GROUP BY k.product_id) s
    WHERE s.product_id = p.id AND p.sold <> p.sold_before + s.sold
    """
)


async def refresh(session: AsyncSession) -> None:
    """Bring `product.sold` up to the stock's figures; touches only products that were sold since."""
    await session.execute(_REFRESH)
