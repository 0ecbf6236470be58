"""What a transfer may be for, and what must be reported about it: a fixed set per scene."""

from typing import Any

from sandbox.pay.refusals import param_error

REPORTS = {
    "1000": ("活动名称", "奖励说明"),
    "1002": ("补贴类型",),
    "1004": ("保险产品备案编号", "保险名称", "保险操作单号"),
    "1005": ("岗位类型", "报酬说明"),
    "1009": ("采购商品名称",),
    "1010": ("回收商品名称",),
    "1011": ("赔付原因",),
    "1013": ("公益活动名称", "公益活动备案编号"),
}


def check(body: dict[str, Any]) -> None:
    """Raise a PARAM_ERROR unless the report has exactly the infos of its scene."""
    scene = body["transfer_scene_id"]
    if scene not in REPORTS:
        raise param_error("转账场景不存在", field="/transfer_scene_id", value=scene)
    given = [info["info_type"] for info in body["transfer_scene_report_infos"]]
    if sorted(given) != sorted(REPORTS[scene]):
        wanted = "、".join(REPORTS[scene])
        raise param_error(
            f"未按转账场景要求传入报备信息，应为：{wanted}",
            field="/transfer_scene_report_infos",
            value="、".join(given),
        )
