"""Train a small convolutional network on handwritten digits with PyTorch's cross-entropy and with xent's, and compare.

    python examples/torch_digits.py [--steps 200] [--seed 0] [--out out/torch_digits]

Changing the loss is the only change: ``nn.CrossEntropyLoss()`` becomes ``xt.CrossEntropyLoss()`` (see two_losses.py).
Needs ``pip install '.[torch,learn,cli]'`` in the clone of xent.
"""

import sys

try:
    import torch
    from sklearn.datasets import load_digits
    from torch import nn
except ModuleNotFoundError as error:
    sys.exit(f"{error.name} is missing. Run in the clone of xent: pip install '.[torch,learn,cli]'")

from two_losses import Plan, parse_options, report, score, train_both

BATCH, LEARNING_RATE, MOMENTUM = 64, 0.05, 0.9


def split(seed):
    """1347 digits to learn from and 450 to be tested on, each [1, 8, 8] with pixels scaled to [0, 1]."""
    table = load_digits()
    pixels, digits = torch.tensor(table.images / 16.0, dtype=torch.float32).unsqueeze(1), torch.tensor(table.target)
    order = torch.randperm(len(digits), generator=torch.Generator().manual_seed(seed))
    return [(pixels[rows], digits[rows]) for rows in (order[450:], order[:450])]


def network():
    """Smooth throughout: where weights differ by 1e-6, one ReLU or maximum that decides otherwise moves gradients by 1e-3."""
    return nn.Sequential(
        nn.Conv2d(1, 16, kernel_size=3, padding=1),
        nn.GELU(),
        nn.AvgPool2d(2),
        nn.Conv2d(16, 32, kernel_size=3, padding=1),
        nn.GELU(),
        nn.Flatten(),
        nn.Linear(32 * 4 * 4, 10),
    )


def draw_batches(images, digits, steps, seed):
    chosen = torch.randint(len(digits), (steps, BATCH), generator=torch.Generator().manual_seed(seed))
    return [(images[rows], digits[rows]) for rows in chosen]


def main():
    options = parse_options(__doc__.partition("\n")[0], "out/torch_digits")
    (images, digits), test_rows = split(options.seed)
    runs = train_both(
        Plan(
            build=network,
            optimizer=lambda parameters: torch.optim.SGD(parameters, lr=LEARNING_RATE, momentum=MOMENTUM),
            batches=draw_batches(images, digits, options.steps, options.seed),
            seed=options.seed,
        )
    )
    nats, accuracy = zip(*(score(run, *test_rows) for run in runs), strict=True)
    measures = {
        "loss of 450 test rows (nats)": [f"{value:.5f}" for value in nats],
        "test accuracy (%)": [f"{100 * value:.1f}" for value in accuracy],
    }
    report(runs, measures, "Handwritten digits, convolutional network: one training, two losses", options.out)


if __name__ == "__main__":
    main()
