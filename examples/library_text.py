"""Real text that every Python has, the sources of its standard library, and byte pairs learnt from it.

What torch_language_model.py trains on; nothing is downloaded, and the same Python gives the same tokens in any folder.
"""

import hashlib
import re
import sys
import sysconfig
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import Tensor

if TYPE_CHECKING:
    from tokenizers import Tokenizer

UNLIKE = re.compile(r"site-packages|dist-packages|encodings/|config-|_sysconfigdata")
"""Packages that were installed, tables of code points, and what was noted when this Python was built."""


def read(characters: int) -> list[str]:
    """Sources of the standard library, so many characters: in the order of their hashes, which no folder's name can change."""
    root = Path(sysconfig.get_path("stdlib"))
    files = (path.relative_to(root) for path in root.rglob("*.py"))
    found = {source(root / path) for path in files if not UNLIKE.match(path.as_posix())}
    texts, total = [], 0
    for text in sorted(found - {""}, key=lambda text: hashlib.sha256(text.encode()).digest()):
        if total >= characters:
            break
        texts.append(text)
        total += len(text)
    return texts


def source(path: Path) -> str:
    """The text of a file; nothing where it is not UTF-8, as a few tests of Python itself."""
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        return ""


def learn_vocabulary(texts: Sequence[str], entries: int) -> "Tokenizer":
    """Byte pairs: bytes, and the most frequent neighbours joined, until there are so many entries."""
    try:
        from tokenizers import Tokenizer, models, pre_tokenizers, trainers
    except ModuleNotFoundError:
        sys.exit("tokenizers is missing. Run in the clone of xent: pip install '.[torch,cli]' tokenizers")
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    trainer = trainers.BpeTrainer(vocab_size=entries, initial_alphabet=alphabet, show_progress=False)
    tokenizer.train_from_iterator(texts, trainer)
    return tokenizer


def first_windows(tokenizer: "Tokenizer", texts: Sequence[str], count: int, length: int) -> Tensor:
    """The first [count, length] tokens of the texts; fewer windows where the texts end."""
    tokens: list[int] = []
    for text in texts:
        if len(tokens) >= count * length:
            break
        tokens += tokenizer.encode(text).ids
    count = min(count, len(tokens) // length)
    return torch.tensor(tokens[: count * length]).view(count, length)


def middle_windows(tokenizer: "Tokenizer", texts: Sequence[str], length: int) -> Tensor:
    """One window from the middle of each text that is long enough."""
    tokens = [tokenizer.encode(text).ids for text in texts]
    return torch.tensor([ids[len(ids) // 2 :][:length] for ids in tokens if len(ids) >= 2 * length])
