"""Transfer scenes of WeChat Pay (商家转账), as data: each needs WeChat's approval and wants these facts, no more, no less."""

from collections.abc import Mapping
from typing import Final

from kit.errors import InvalidInput

REPORT: Final[dict[str, tuple[str, ...]]] = {
    "1000": ("活动名称", "奖励说明"),  # marketing
    "1002": ("补贴类型",),  # administrative subsidy
    "1004": ("保险产品备案编号", "保险名称", "保险操作单号"),  # insurance claim
    "1005": ("岗位类型", "报酬说明"),  # commission
    "1009": ("采购商品名称",),  # purchase
    "1010": ("回收商品名称",),  # second-hand
    "1011": ("赔付原因",),  # compensation
    "1013": ("公益活动名称", "公益活动备案编号"),  # charity
}


def check(scene_id: str, report: Mapping[str, str]) -> None:
    """Raises `InvalidInput` (400), naming the scene or each fact that is missing or not asked for."""
    if scene_id not in REPORT:
        raise InvalidInput([{"field": "sceneId", "rule": f"must be one of {', '.join(REPORT)}"}])
    wanted = REPORT[scene_id]
    errors = [{"field": f"report.{name}", "rule": "is required in this scene"} for name in wanted if name not in report]
    errors += [
        {"field": f"report.{name}", "rule": "has no place in this scene"} for name in report if name not in wanted
    ]
    if errors:
        raise InvalidInput(errors)
