"""Train a character language model on Python's own help texts with PyTorch's cross-entropy and with xent's, and compare.

    python examples/torch_characters.py [--steps 200] [--seed 0] [--out out/torch_characters]

A recurrent network (GRU) guesses each next character; the texts are those behind ``help('topics')``.
Needs ``pip install '.[torch,cli]'`` in the clone of xent.
"""

import math
import sys
from pydoc_data.topics import topics

try:
    import torch
    from torch import nn
except ModuleNotFoundError as error:
    sys.exit(f"{error.name} is missing. Run in the clone of xent: pip install '.[torch,cli]'")

from two_losses import Plan, parse_options, report, score, train_both

WINDOW, BATCH, WIDTH = 64, 32, 128
LEARNING_RATE, MOMENTUM = 0.5, 0.9
SAMPLE_CHARACTERS = 240


class NextCharacter(nn.Module):
    """A table of characters, a GRU, a linear classifier."""

    def __init__(self, classes):
        super().__init__()
        self.embed = nn.Embedding(classes, WIDTH // 2)
        self.recur = nn.GRU(WIDTH // 2, WIDTH, batch_first=True)
        self.classify = nn.Linear(WIDTH, classes)

    def forward(self, codes):
        """[B, T] codes to [B·T, C] logits of the characters that follow."""
        states, _ = self.recur(self.embed(codes))
        return self.classify(states).flatten(0, 1)


def read():
    """The text as codes, and the character of each code."""
    text = "\n\n".join(topics[name] for name in sorted(topics))
    alphabet = sorted(set(text))
    code_of = {character: code for code, character in enumerate(alphabet)}
    return torch.tensor([code_of[character] for character in text]), alphabet


def windows(codes, starts):
    """Stretches of the text, and the character after each of theirs."""
    stretches = codes[starts.unsqueeze(1) + torch.arange(WINDOW + 1)]
    return stretches[:, :-1], stretches[:, 1:].flatten()


def draw_batches(codes, steps, seed):
    starts = torch.randint(len(codes) - WINDOW, (steps, BATCH), generator=torch.Generator().manual_seed(seed))
    return [windows(codes, row) for row in starts]


@torch.no_grad()
def write(model, alphabet, seed):
    """Text in the model's own words, each character drawn with the probability that the model gives it."""
    generator = torch.Generator().manual_seed(seed)
    codes = [alphabet.index(character) for character in "\n\nThe "]
    for _ in range(SAMPLE_CHARACTERS):
        probs = model(torch.tensor([codes[-WINDOW:]]))[-1].softmax(dim=0)
        codes.append(int(torch.multinomial(probs, 1, generator=generator)))
    return "".join(alphabet[code] for code in codes).strip()


def main():
    options = parse_options(__doc__.partition("\n")[0], "out/torch_characters")
    codes, alphabet = read()
    # The last tenth is kept for testing.
    kept = len(codes) * 9 // 10
    runs = train_both(
        Plan(
            build=lambda: NextCharacter(len(alphabet)),
            optimizer=lambda parameters: torch.optim.SGD(parameters, lr=LEARNING_RATE, momentum=MOMENTUM),
            batches=draw_batches(codes[:kept], options.steps, options.seed),
            seed=options.seed,
        )
    )
    test_rows = windows(codes, torch.arange(kept, len(codes) - WINDOW, WINDOW))
    nats, accuracy = zip(*(score(run, *test_rows) for run in runs), strict=True)
    measures = {
        "test text: nats per character": [f"{value:.5f}" for value in nats],
        "           bits per character": [f"{value / math.log(2):.5f}" for value in nats],
        "           perplexity": [f"{math.exp(value):.3f}" for value in nats],
        "           characters guessed (%)": [f"{100 * value:.1f}" for value in accuracy],
    }
    # A terminal may lack one of the characters.
    sys.stdout.reconfigure(errors="replace")
    print(f"What the model of {runs[1].name} writes:\n\n{write(runs[1].model, alphabet, options.seed)}\n")
    report(runs, measures, "Characters of Python's help texts, GRU: one training, two losses", options.out)


if __name__ == "__main__":
    main()
