"""Half precision: every float16 is read exactly, and every float32 is rounded as NumPy rounds it, by either way of converting."""

import ml_dtypes
import numpy as np
import pytest

pytest.importorskip("numba")

from numba import njit

from xent.kernels.cpu import storage


def all_bits() -> np.ndarray:
    return np.arange(1 << 16, dtype=np.uint32).astype(np.uint16)


def hard_floats() -> np.ndarray:
    """Every float16, every midpoint between two of them, their neighbours, and a sample of all float32."""
    halves = all_bits().view(np.float16).astype(np.float32).view(np.uint32).astype(np.int64)
    near = np.concatenate([halves + step for step in (-1, 0, 1, 0xFFF, 0x1000, 0x1001)]) & 0xFFFFFFFF
    sample = np.random.default_rng(0).integers(0, 1 << 32, 200_000)
    return np.concatenate([near, sample]).astype(np.uint32).view(np.float32)


@pytest.fixture(params=["machine", "integers"])
def conversions(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch):
    """Freshly compiled ``widen`` and ``narrow`` of arrays, with or without the machine's own instructions."""
    if request.param == "machine" and not storage.converts_halves():
        pytest.skip("this machine has no instruction for float16")
    monkeypatch.setattr(storage, "converts_halves", lambda: request.param == "machine")
    # Fresh functions, for Numba keeps what it once resolved.
    monkeypatch.setattr(storage, "widen", fresh(storage, "widen", storage._widen))
    monkeypatch.setattr(storage, "narrow", fresh(storage, "narrow", storage._narrow))
    widen, narrow = storage.widen, storage.narrow

    @njit
    def widened(x, out):
        for j in range(x.shape[0]):
            out[j] = widen(x[j])

    @njit
    def narrowed(x, out):
        for j in range(x.shape[0]):
            out[j] = narrow(x[j], out)

    return widened, narrowed


def fresh(module, name: str, typer):
    """A new function overloaded by the same typer."""
    from numba.extending import overload

    scope: dict[str, object] = {}
    arguments = "x" if name == "widen" else "x, like"
    exec(f"def {name}({arguments}): pass", scope)
    overload(scope[name], jit_options=storage.EXACT)(typer)
    return scope[name]


def test_every_float16_is_read_exactly(conversions) -> None:
    out = np.empty(1 << 16, np.float32)
    conversions[0](all_bits().view(np.int16), out)
    np.testing.assert_array_equal(out, all_bits().view(np.float16).astype(np.float32))


def test_every_bfloat16_is_read_exactly(conversions) -> None:
    out = np.empty(1 << 16, np.float32)
    conversions[0](all_bits(), out)
    np.testing.assert_array_equal(out, all_bits().view(ml_dtypes.bfloat16).astype(np.float32))


def test_float32_is_rounded_to_the_nearest_float16(conversions) -> None:
    values = hard_floats()
    out = np.empty(values.size, np.int16)
    conversions[1](values, out)
    with np.errstate(all="ignore"):
        np.testing.assert_array_equal(out.view(np.float16), values.astype(np.float16))


def test_float32_is_rounded_to_the_nearest_bfloat16(conversions) -> None:
    values = hard_floats()
    out = np.empty(values.size, np.uint16)
    conversions[1](values, out)
    with np.errstate(all="ignore"):
        want = values.astype(ml_dtypes.bfloat16).astype(np.float32)
    np.testing.assert_array_equal(out.view(ml_dtypes.bfloat16).astype(np.float32), want)
