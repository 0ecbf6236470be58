"""Customs declaration: goods that come in across the border, whose payment the customs office is told of."""
