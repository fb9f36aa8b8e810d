"""docs/pytorch.md names what this door has: every function and module, and every extra; the rest is as in PyTorch."""

import inspect
from pathlib import Path

import pytest
from torch import nn
from torch.nn import functional

import xent.torch as xt

PAGE = (Path(__file__).parents[2] / "docs" / "pytorch.md").read_text()
FUNCTIONS = xt.functional.__all__
MODULES = [name for name in xt.__all__ if isinstance(getattr(xt, name), type) and issubclass(getattr(xt, name), nn.Module)]


@pytest.mark.parametrize("name", [*FUNCTIONS, *MODULES, "explain_backend"])
def test_the_page_names_it(name: str) -> None:
    assert f"`{name}`" in PAGE or f"xt.{name}(" in PAGE


@pytest.mark.parametrize("name", FUNCTIONS)
def test_what_pytorch_lacks_is_among_the_extras(name: str) -> None:
    own = inspect.signature(getattr(xt, name)).parameters
    # PyTorch's logsigmoid is compiled code without a signature.
    theirs = ["input"] if name == "logsigmoid" else inspect.signature(getattr(functional, name)).parameters
    extras = [option for option in own if option not in theirs]
    assert all(own[option].kind is inspect.Parameter.KEYWORD_ONLY for option in extras)
    table = PAGE[PAGE.index("## Extras") :]
    assert [option for option in extras if f"`{option}=" not in table] == []


@pytest.mark.parametrize("name", FUNCTIONS)
def test_positions_and_defaults_are_those_of_pytorch(name: str) -> None:
    if name == "logsigmoid":  # compiled code without a signature
        assert list(inspect.signature(xt.logsigmoid).parameters)[:1] == ["input"]
        return
    theirs = inspect.signature(getattr(functional, name)).parameters
    own = inspect.signature(getattr(xt, name)).parameters
    assert list(own)[: len(theirs)] == list(theirs)
    assert [own[option].default for option in theirs] == [parameter.default for parameter in theirs.values()]
