"""Keyword-only extras of a module."""

from typing import Any

from torch import nn


class Extras(nn.Module):
    """Keyword-only extras, kept as a dictionary and shown where they are not the defaults."""

    def keep(self, **extras: Any) -> None:
        """As attributes, like PyTorch's own."""
        for name, value in extras.items():
            setattr(self, name, value)

    @property
    def extras(self) -> dict[str, Any]:
        """Those that differ from their defaults, which the function knows."""
        kept = {name: self.__dict__[name] for name in _DEFAULTS if name in self.__dict__}
        return {name: value for name, value in kept.items() if value is not _DEFAULTS[name] and value != _DEFAULTS[name]}

    def extra_repr(self) -> str:
        """PyTorch's own, and the extras."""
        return ", ".join(filter(None, [super().extra_repr(), *(f"{name}={value!r}" for name, value in self.extras.items())]))


_DEFAULTS: dict[str, Any] = {
    "z_loss": 0.0,
    "focal": 0.0,
    "softcap": None,
    "scale": 1.0,
    "shift": 0,
    "tolerance": 0.0,
    "memory_limit": None,
    "normalizer": None,
    "empty": "nan",
    "validate": None,
    "inplace": False,
    "return_stats": False,
    "backend": None,
}
