"""Every exception xent raises on purpose.

    XentError
    ├── ArgumentError         also ValueError: a value breaks a rule
    │   ├── ShapeError        shapes that do not belong together
    │   ├── AxisError         also IndexError: an axis that the array does not have
    │   ├── LabelError        also IndexError: class indices outside [0, C)
    │   ├── DistributionError numbers that are no probabilities
    │   └── EmptyMeanError    a mean over no rows, where empty="raise"
    ├── DTypeError            also TypeError: a dtype with no agreed meaning
    ├── BackendError          also RuntimeError: a named backend refuses the call
    └── MissingExtraError     also ImportError: an optional package is not installed

    DistributionWarning       also UserWarning: validate="warn" found no distribution

Each is built from the rule, the value that broke it, and the remedy, and keeps all three.
"""


class XentError(Exception):
    """A rule, what broke it, and what to do: ``"{rule}; {found}. {remedy}"``."""

    def __init__(self, rule: str, found: str, remedy: str) -> None:
        """Keep the three parts; ``str()`` joins them, and the exception's own arguments are the same three."""
        self.rule, self.found, self.remedy = rule, found, remedy

    def __str__(self) -> str:
        """One line: rule, value, remedy."""
        return f"{self.rule}; {self.found}. {self.remedy}"


class ArgumentError(XentError, ValueError):
    """A value breaks a rule about arguments."""


class ShapeError(ArgumentError):
    """Shapes that do not belong together."""


class AxisError(ArgumentError, IndexError):
    """An axis that the array does not have."""


class LabelError(ArgumentError, IndexError):
    """Class indices outside [0, C); an IndexError too, as an index out of range is."""


class DistributionError(ArgumentError):
    """Numbers that are no probabilities, or rows that do not sum to one."""


class EmptyMeanError(ArgumentError):
    """A mean over no counted rows where ``empty="raise"``."""


class DTypeError(XentError, TypeError):
    """A dtype that has no agreed meaning for this argument."""


class BackendError(XentError, RuntimeError):
    """A backend asked for by name refuses the call."""


class MissingExtraError(XentError, ImportError):
    """An optional package is needed and not installed."""


class DistributionWarning(UserWarning):
    """A target row is no distribution and ``validate="warn"``."""
