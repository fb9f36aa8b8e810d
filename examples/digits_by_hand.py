"""Teach a softmax classifier to read handwritten digits with nothing but NumPy and xent's gradient, and draw how it learns.

    python examples/digits_by_hand.py [PICTURE.svg]

The model is one matrix: logits = X W + b. xent gives the mean cross-entropy and d loss / d logits; the chain rule to W is one
matrix product. The picture goes to out/digits.svg unless another is named. Needs scikit-learn for the digits and Matplotlib
for the picture: ``pip install '.[learn,report]'`` in the clone of xent.
"""

import sys
from pathlib import Path

import numpy as np

try:
    from matplotlib.figure import Figure
    from sklearn.datasets import load_digits
except ModuleNotFoundError as error:
    sys.exit(f"{error.name} is missing. Run in the clone of xent: pip install '.[learn,report]'")

import xent

STEPS, LEARNING_RATE = 500, 0.5


def split():
    """1347 digits to learn from and 450 to be tested on, pixels scaled to [0, 1]."""
    pixels, digits = load_digits(return_X_y=True)
    order = np.random.default_rng(0).permutation(len(digits))
    return [(pixels[rows] / 16.0, digits[rows]) for rows in (order[450:], order[:450])]


def train(X, y):
    """Gradient descent from zero weights; returns W, b and the loss in nats before every step."""
    W, b, loss_nats = np.zeros((X.shape[1], 10)), np.zeros(10), []
    for _ in range(STEPS):
        logits = X @ W + b
        # The gradient is written over the logits, which are not needed again.
        loss, grad = xent.cross_entropy_and_grad(logits, y, out=logits)
        W -= LEARNING_RATE * X.T @ grad
        b -= LEARNING_RATE * grad.sum(axis=0)
        loss_nats.append(float(loss))
    return W, b, loss_nats


def draw(loss_nats, test_nats, path):
    """The learning curve, with what a guess among ten costs."""
    figure = Figure(figsize=(6, 4), layout="constrained")
    axes = figure.add_subplot()
    axes.plot(loss_nats, color="#0072B2", label="training rows")
    axes.plot([STEPS], [test_nats], "o", color="#D55E00", label="test rows, at the end")
    axes.axhline(np.log(10), color="black", linestyle=":", label="ln 10: all digits alike")
    axes.set(xlabel="step", ylabel="cross-entropy (nats per row)", ylim=0, title="Handwritten digits, softmax regression")
    axes.legend(frameon=False)
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path)


def main(path="out/digits.svg"):
    (X, y), (X_test, y_test) = split()
    W, b, loss_nats = train(X, y)
    logits = X_test @ W + b
    test_nats = float(xent.cross_entropy(logits, y_test))
    accuracy = np.mean(logits.argmax(axis=1) == y_test)
    print(f"training rows: {loss_nats[0]:.4f} nats before the first step, {loss_nats[-1]:.4f} before the last")
    print(f"test rows:     {test_nats:.4f} nats = {test_nats / np.log(2):.4f} bits, accuracy {100 * accuracy:.1f} %")
    draw(loss_nats, test_nats, path)
    print(f"wrote {path}")


if __name__ == "__main__":
    main(*sys.argv[1:])
