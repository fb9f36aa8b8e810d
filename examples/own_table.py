"""From your own CSV file to a model that scores new rows.

    python examples/own_table.py [TABLE.csv COLUMN]

COLUMN holds the classes, every other column numbers. Without arguments the script writes out/flowers.csv, 150 irises, and
uses that.
It runs `xent fit`, loads the model back, and compares its answers with the file of predictions that `xent fit` left.
The model and its files are left in out/fitted. Needs ``pip install '.[learn,cli,data,report]'`` in the clone of xent.
"""

import csv
import subprocess
import sys
from pathlib import Path

import numpy as np

try:
    import pyarrow.csv
    import pyarrow.parquet
    from sklearn.datasets import load_iris

    from xent.learn import SoftmaxRegression
except ModuleNotFoundError as error:
    sys.exit(f"{error.name} is missing. Run in the clone of xent: pip install '.[learn,cli,data,report]'")


def write_flowers(path):
    """Four measures in centimetres and the species of 150 irises."""
    iris = load_iris()
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    with open(path, "w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["sepal_length", "sepal_width", "petal_length", "petal_width", "species"])
        writer.writerows([*row, iris.target_names[k]] for row, k in zip(iris.data.tolist(), iris.target, strict=True))


def main(table_path="out/flowers.csv", target="species"):
    if len(sys.argv) == 1:
        write_flowers(table_path)

    # The same as in a shell: xent fit out/flowers.csv --target species --out out/fitted
    command = [sys.executable, "-m", "xent.cli", "fit", table_path, "--target", target, "--out", "out/fitted"]
    refused = subprocess.run(command, check=False).returncode
    if refused:
        # xent has said why, in one line.
        sys.exit(refused)

    # Columns are found by name, so the table may hold others, the target among them. Arrays go by position.
    model = SoftmaxRegression.load("out/fitted/model.json")
    table = pyarrow.csv.read_csv(table_path)
    probs = model.predict_proba(table)
    print(f"columns: {', '.join(model.column_names_)}")
    print(f"first row: {dict(zip(model.classes_.tolist(), probs[0].round(4).tolist(), strict=True))}")

    # The predictions of xent fit are those of the rows it kept for testing.
    kept = pyarrow.parquet.read_table("out/fitted/predictions.parquet")
    theirs = np.column_stack([kept[f"p_{name}"] for name in model.classes_])
    print(f"largest difference to predictions.parquet: {np.abs(probs[kept['row'].to_numpy()] - theirs).max():.0e}")


if __name__ == "__main__":
    main(*sys.argv[1:])
