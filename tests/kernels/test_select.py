"""An explicit backend works or raises with its reason; None takes the first that does not refuse."""

import subprocess
import sys
from collections.abc import Iterator

import numpy as np
import pytest

import xent
from xent.kernels import select
from xent.kernels.reference import ReferenceKernel

X, T = np.zeros((3, 4), np.float32), [0, 1, 2]


class SinglesOnly(ReferenceKernel):
    name = "singles"

    def refuses(self, storage: str, pointwise: str | None = None) -> str | None:
        if storage != "float32":
            return f"no {storage}"
        return f"no {pointwise}" if pointwise == "sigmoid" else None


@pytest.fixture
def registered() -> Iterator[None]:
    select.register("singles", SinglesOnly)
    select.register("absent", lambda: "no such machine: pip install machine")
    yield
    select.unregister("singles")
    select.unregister("absent")


def test_the_reference_is_always_there_and_last_of_its_own() -> None:
    assert select.names()[-1] == "reference"
    assert xent.backends()["reference"] is None


@pytest.mark.usefixtures("registered")
def test_registering_enrols_and_says_why_not() -> None:
    assert select.names()[-2:] == ("singles", "absent")
    assert xent.backends()["absent"] == "no such machine: pip install machine"
    assert xent.backends()["singles"] is None
    assert xent.cross_entropy(X, T, backend="singles") == np.float32(np.log(4))


@pytest.mark.usefixtures("registered")
@pytest.mark.parametrize(
    ("call", "text"),
    [
        (lambda: xent.cross_entropy(X.astype(np.float64), T, backend="singles"), "singles: no float64"),
        (lambda: xent.sigmoid(X, backend="singles"), "singles: no sigmoid"),
        (lambda: xent.cross_entropy(X, T, backend="absent"), "absent: no such machine: pip install machine"),
    ],
)
def test_a_backend_named_serves_or_raises_its_reason(call: object, text: str) -> None:
    with pytest.raises(xent.BackendError) as caught:
        call()
    assert str(caught.value) == (f"a backend asked for by name serves or refuses; {text}. backend=None chooses one that serves.")


@pytest.mark.usefixtures("registered")
def test_none_takes_the_first_that_does_not_refuse(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(select, "_REGISTRY", {"absent": lambda: "gone", "singles": SinglesOnly, "reference": ReferenceKernel})
    assert select.choose(None, "float32").name == "singles"
    assert select.choose(None, "float64").name == "reference"
    assert select.choose(None, "float32", "sigmoid").name == "reference"
    monkeypatch.setattr(select, "_REGISTRY", {"absent": lambda: "gone", "singles": SinglesOnly})
    with pytest.raises(xent.BackendError, match="absent: gone; singles: no float64"):
        select.choose(None, "float64")


@pytest.mark.usefixtures("registered")
def test_every_reason_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    xent.explain_backend(X.astype(np.float64), backend="reference")
    lines = capsys.readouterr().out.splitlines()
    assert "-> reference: serves cross_entropy of float64" in lines
    assert "   singles: refuses float64: no float64" in lines
    assert "   absent: refuses float64: no such machine: pip install machine" in lines
    xent.explain_backend(X, function="sigmoid", backend="reference")
    assert "   singles: refuses float32: no sigmoid" in capsys.readouterr().out.splitlines()
    with pytest.raises(xent.BackendError, match="no float64"):
        xent.explain_backend(X.astype(np.float64), backend="singles")


def test_a_kernel_is_made_once() -> None:
    assert select.choose("reference", "float32") is select.choose("reference", "float64")


WITHOUT_NUMBA = """
import sys
sys.modules["numba"] = None
from importlib import util
found = util.find_spec
util.find_spec = lambda name, *rest: None if name == "numba" else found(name, *rest)
import numpy as np
import xent
assert "pip install numba" in xent.backends()["numba"], xent.backends()
x, y = np.zeros((3, 4), np.float32), np.full((3, 4), 0.25)
loss, gradient = xent.cross_entropy_and_grad(x, [0, 1, 2])
assert loss == np.float32(np.log(4)) and abs(gradient.sum()) < 1e-6
for call in (xent.kl_divergence_loss_and_grad, xent.binary_cross_entropy_and_grad, xent.mse_loss_and_grad):
    call(x, y)
for call in (xent.softmax, xent.log_softmax, xent.logsumexp, xent.sigmoid, xent.log_sigmoid):
    call(x)
xent.log_loss(y, [0, 1, 2]), xent.nll_loss(np.log(y), y), xent.gaussian_nll_loss(x, x, 1.0)
try:
    xent.softmax(x, backend="numba")
except xent.BackendError as error:
    print(error)
"""


def test_everything_works_without_numba() -> None:
    outcome = subprocess.run([sys.executable, "-c", WITHOUT_NUMBA], capture_output=True, text=True, timeout=60, check=False)
    assert outcome.returncode == 0, outcome.stderr
    assert "numba: numba is not installed: pip install numba" in outcome.stdout
