"""What `xent fit` refuses: one line on stderr (rule, value, remedy), exit code 2, and nothing left behind."""

import re
from functools import partial

import pyarrow as pa
import pyarrow.parquet as pa_parquet
import pytest

GOOD = "a,b,kind\n" + "".join(f"{n},{n * n % 7},{'xy'[n % 2]}\n" for n in range(20))


@pytest.fixture
def xent_command(tmp_path, monkeypatch, run_inside):
    """What is refused is refused before a process of its own would matter."""
    for name in ("FORCE_COLOR", "NO_COLOR", "COLUMNS", "TERM"):
        monkeypatch.delenv(name, raising=False)
    return partial(run_inside, tmp_path)


def listing(directory):
    return sorted((str(path.relative_to(directory)), path.stat().st_size) for path in directory.rglob("*"))


def assert_refused(done, message):
    assert done.stderr == f"xent: {message}\n"
    assert done.stdout == ""
    assert done.returncode == 2


FEATURES = "features must be finite numbers, one in every row"
BAD_TABLES = {
    "empty file": ("", "the table must be readable as .csv; table.csv gives: the file is empty. Repair or convert it."),
    "header only": ("a,kind\n", "a table needs rows and at least one feature column; table.csv has no rows. Give it some."),
    "no feature": (
        "kind\nx\ny\n",
        "a table needs rows and at least one feature column; table.csv has no column beside the target. Give it some.",
    ),
    "missing column": (
        "a,knd\n1,x\n",
        "--target must name a column of the table; 'kind' is none of its 2 columns: 'a', 'knd'. Did you mean 'knd'?",
    ),
    "many columns": (
        ",".join(f"column{n}" for n in range(12)) + "\n" + ",".join("1" * 12) + "\n",
        "--target must name a column of the table; 'kind' is none of its 12 columns: 'column0', 'column1', 'column2', "
        "'column3', 'column4', 'column5', 'column6', 'column7', 'column8', 'column9', .... Name one of them.",
    ),
    "semicolons": (
        "a;kind\n1;x\n",
        "--target must name a column of the table; 'kind' is none of its 1 column: 'a;kind'. Separate the columns by commas.",
    ),
    "two columns of one name": (
        "a,a,kind\n1,2,x\n",
        "column names must differ; table.csv has 2 columns named 'a'. Rename or remove them.",
    ),
    "one class": (
        "a,kind\n1,x\n2,x\n",
        "a classifier needs at least 2 classes; all 2 rows of 'kind' hold 'x'. Add rows of another class.",
    ),
    "a class with one row": (
        "a,kind\n1,x\n2,x\n3,y\n4,z\n",
        "every class needs 2 rows, one to train on and one to test on; class 'y' of 'kind' has 1 row (and 1 more of 3 classes). "
        "Add rows, or merge or remove rare classes; if the target is a measured number, group it into classes.",
    ),
    "text feature": (
        "a,kind\nred,x\nblue,y\n",
        f"{FEATURES}; column 'a' holds string such as 'red' in data row 1 (from 1). "
        "Add --drop a to leave it out, or repair the table.",
    ),
    "text in one cell": (
        "a b,kind\n1,x\n?,y\n",
        f"{FEATURES}; column 'a b' holds string such as '?' in data row 2 (from 1). "
        "Add --drop 'a b' to leave it out, or repair the table.",
    ),
    "date feature": (
        "a,kind\n2024-01-01,x\n2024-01-02,y\n",
        f"{FEATURES}; column 'a' holds date32[day] such as '2024-01-01' in data row 1 (from 1). "
        "Add --drop a to leave it out, or repair the table.",
    ),
    "missing feature": (
        "a,kind\n1,x\n,y\n,x\n",
        f"{FEATURES}; column 'a' has none in data row 2 (from 1) and 1 more. Add --drop a to leave it out, or repair the table.",
    ),
    "NaN": (
        "a,kind\n1,x\nNaN,y\n",
        f"{FEATURES}; column 'a' has none in data row 2 (from 1). Add --drop a to leave it out, or repair the table.",
    ),
    "infinity": (
        "a,kind\n1,x\n-inf,y\n",
        f"{FEATURES}; column 'a' holds -inf in data row 2 (from 1). Add --drop a to leave it out, or repair the table.",
    ),
    "beyond float64's squares": (
        "a,kind\n1,x\n1e200,y\n",
        f"{FEATURES}; column 'a' holds 1e+200, more than 1e+150 in size, in data row 2 (from 1). "
        "Add --drop a to leave it out, or repair the table.",
    ),
    "every bad column at once": (
        "id,a,colour,b,kind\nn1,1,red,1,x\nn2,1,blue,,y\n",
        f"{FEATURES}; column 'id' holds string such as 'n1' in data row 1 (from 1); column 'colour' holds string such as 'red' "
        "in data row 1 (from 1); column 'b' has none in data row 2 (from 1). "
        "Add --drop id --drop colour --drop b to leave them out, or repair the table.",
    ),
    "more bad columns than fit": (
        ",".join(f"c{n}" for n in range(12)) + ",kind\n" + "?," * 12 + "x\n",
        f"{FEATURES}; " + "; ".join(f"column 'c{n}' holds string such as '?' in data row 1 (from 1)" for n in range(10)) + "; "
        f"and 2 more columns. Add {' '.join(f'--drop c{n}' for n in range(12))} to leave them out, or repair the table.",
    ),
    "a row number without a name": (
        ",a,kind\n0,1,x\n1,2,y\n",
        "every column needs a name; column 1 has no name. Is it a row number? Drop it with --drop '', or name it.",
    ),
    "a row number as pandas names it": (
        "a,Unnamed: 0,kind\n0,1,x\n1,2,y\n",
        "every column needs a name; column 2 has no name but pandas' 'Unnamed: 0'. Is it a row number? "
        "Drop it with --drop 'Unnamed: 0', or name it.",
    ),
    "no line of names": (
        "5.1,3.5,setosa\n4.9,3.0,setosa\n",
        "--target must name a column of the table; 'kind' is none of its 3 columns: '5.1', '3.5', 'setosa'. "
        "Is the first line data? It must name the columns.",
    ),
    "ragged rows": (
        "a,kind\n1,x\n2\n",
        "the table must be readable as .csv; table.csv gives: CSV parse error: Expected 2 columns, got 1: 2. "
        "Repair or convert it.",
    ),
    "a measured target": (
        "a,kind\n1,0.5\n2,1.5\n",
        "the target must hold classes, not fractions; column 'kind' holds 0.5 in data row 1 (from 1) and 1 more. "
        "Group the values into classes first.",
    ),
    "a date as target": (
        "a,kind\n1,2024-01-01\n2,2024-01-02\n",
        "the target must hold strings, integers or booleans; column 'kind' holds date32[day]. Convert it to strings.",
    ),
    "missing class": (
        "a,kind\n1,1\n2,\n",
        "every row needs a class; column 'kind' has none in data row 2 (from 1). Fill it or remove the row.",
    ),
    "missing class name": (
        "a,kind\n1,x\n2,\n",
        "every row needs a class; column 'kind' is empty in data row 2 (from 1). Fill it or remove the row.",
    ),
}


@pytest.mark.parametrize("case", BAD_TABLES)
def test_a_bad_table(tmp_path, xent_command, case):
    text, message = BAD_TABLES[case]
    (tmp_path / "table.csv").write_text(text)
    before = listing(tmp_path)
    assert_refused(xent_command("fit", "table.csv", "--target", "kind"), message)
    assert listing(tmp_path) == before


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("größe,kind\n1,x\n", "'utf-8' codec can't decode byte 0xf6 in position 2: invalid start byte"),
        ("a,kind\n1,größe\n", "column 'kind' is not UTF-8"),
    ],
)
def test_a_table_in_another_encoding(tmp_path, xent_command, text, reason):
    (tmp_path / "table.csv").write_bytes(text.encode("latin-1"))
    assert_refused(
        xent_command("fit", "table.csv", "--target", "kind"),
        f"the table must be readable as .csv; table.csv gives: {reason}. Repair or convert it.",
    )


def test_a_parquet_file_that_is_none(tmp_path, xent_command):
    (tmp_path / "table.parquet").write_text(GOOD)
    done = xent_command("fit", "table.parquet", "--target", "kind")
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert done.stderr.startswith("xent: the table must be readable as .parquet; table.parquet gives: ")
    assert "Parquet magic bytes not found" in done.stderr
    assert done.stderr.endswith("this is not a parquet file. Repair or convert it.\n")


def test_a_parquet_file_with_nan_and_with_two_columns_of_one_name(tmp_path, xent_command):
    pa_parquet.write_table(pa.table({"a": [1.0, float("nan")], "kind": ["x", "y"]}), tmp_path / "table.parquet")
    assert_refused(
        xent_command("fit", "table.parquet", "--target", "kind"),
        f"{FEATURES}; column 'a' holds nan in data row 2 (from 1). Add --drop a to leave it out, or repair the table.",
    )
    pa_parquet.write_table(pa.table([[1, 2], ["x", "y"]], names=["kind", "kind"]), tmp_path / "table.parquet")
    assert_refused(
        xent_command("fit", "table.parquet", "--target", "kind"),
        "column names must differ; table.parquet has 2 columns named 'kind'. Rename or remove them.",
    )


CSV = ("table.csv", "--target", "kind")
BAD_CALLS = {
    "no such file": (
        ("absent.csv", "--target", "kind"),
        "the table must be a file that exists; there is no file absent.csv. Check the path.",
    ),
    "a directory": (
        ("folder.csv", "--target", "kind"),
        "a table must be a .csv or .parquet file; folder.csv is a directory. Name a file in it.",
    ),
    "a directory without an extension": (
        ("taken", "--target", "kind"),
        "a table must be a .csv or .parquet file; taken is a directory. Name a file in it.",
    ),
    "a target that is dropped": (
        (*CSV, "--drop", "a", "--drop", "kind"),
        "--target and --drop must name different columns; both name 'kind'. Leave that --drop out.",
    ),
    "another extension": (
        ("table.xlsx", "--target", "kind"),
        "a table must be a .csv or .parquet file; table.xlsx ends in '.xlsx'. Convert or rename it.",
    ),
    "no extension": (
        ("table", "--target", "kind"),
        "a table must be a .csv or .parquet file; table has no extension. Convert or rename it.",
    ),
    "no target": (
        ("table.csv",),
        "a table needs --target COLUMN; table.csv has 3 columns: 'a', 'b', 'kind'. Name one of them.",
    ),
    "a target without a table": (
        ("--target", "kind"),
        "--target must name a column of the table; it is 'kind', and the digits used without a table have one target, 'digit'. "
        "Give the path of the table.",
    ),
    "drop of no column": (
        (*CSV, "--drop", "c"),
        "--drop must name a column of the table; 'c' is none of its 3 columns: 'a', 'b', 'kind'. Name one of them.",
    ),
    "drop of every feature": (
        (*CSV, "--drop", "a", "--drop", "b"),
        "a table needs rows and at least one feature column; table.csv has no column beside the target. Give it some.",
    ),
    "output below a file": (
        (*CSV, "--out", "table.csv/out"),
        "the output directory must be writable; table.csv/out gives: Not a directory. Name another with --out.",
    ),
    "output over a file": (
        (*CSV, "--out", "table.csv"),
        "the output directory must be writable; table.csv gives: Not a directory. Name another with --out.",
    ),
    "output name taken by a directory": (
        (*CSV, "--out", "taken"),
        "the output directory must be writable; taken gives: model.json is a directory. Name another with --out.",
    ),
    "negative penalty": (
        (*CSV, "--l2", "-1"),
        "--l2 must be a finite number of at least 0; it is -1.0. 0 is no penalty; try 0.0001.",
    ),
    "fraction of one": (
        (*CSV, "--test-fraction", "1"),
        "--test-fraction must be between 0 and 1; it is 1.0. Try 0.25.",
    ),
    "negative seed": ((*CSV, "--seed", "-1"), "--seed must be at least 0; it is -1. Try 0."),
    "no step": (
        (*CSV, "--solver", "gd", "--learning-rate", "0"),
        "--learning-rate must be a finite number above 0; it is 0.0. Leave it out for a step at which the loss cannot rise.",
    ),
    "no iterations but less": ((*CSV, "--max-iter", "-1"), "--max-iter must be at least 0; it is -1. Try 1000."),
    "output without a name": ((*CSV, "--out", ""), "--out must name a directory; it is empty. Leave it out for out."),
    "a step for L-BFGS": (
        (*CSV, "--learning-rate", "0.1"),
        "--learning-rate belongs to --solver gd; it is 0.1 and the solver is 'lbfgs', which finds its own steps. "
        "Add --solver gd, or leave it out.",
    ),
    "L-BFGS for both": (
        (*CSV, "--loss", "both", "--solver", "lbfgs"),
        "the two losses are compared by plain gradient descent; the solver is 'lbfgs'. Leave --solver out.",
    ),
    "divergence": (
        (*CSV, "--solver", "gd", "--learning-rate", "1e200", "--l2", "1"),
        None,
    ),
}


@pytest.mark.parametrize("case", BAD_CALLS)
def test_a_bad_call(tmp_path, xent_command, case):
    arguments, message = BAD_CALLS[case]
    for name in ("table.csv", "table.xlsx", "table"):
        (tmp_path / name).write_text(GOOD)
    (tmp_path / "folder.csv").mkdir()
    (tmp_path / "taken" / "model.json").mkdir(parents=True)
    before = listing(tmp_path)
    done = xent_command("fit", *arguments)
    if message is None:
        assert done.returncode == 2
        assert done.stderr.splitlines()[-1].startswith("xent: loss and gradient must stay finite while fitting; iteration ")
        assert done.stderr.endswith(". Lower --learning-rate or --l2.\n")
    else:
        assert_refused(done, message)
    assert listing(tmp_path) == before


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("fti",), 'Unknown command "fti". Did you mean "fit"? Available commands: fit, evaluate, calibrate.'),
        (("evalute", "x"), 'Did you mean "evaluate"? Available commands: fit, evaluate, calibrate. See: xent --help'),
        (("fit", "--target"), "--target needs a value. See: xent fit --help"),
        (("fit", "--bogus", "1"), "--bogus"),
        (("fit", "--ouf", "x"), "Unknown option: --ouf. Did you mean --out?"),
        (("fit", "--loss", "hinge"), "cross-entropy"),
        (("fit", "--l2", "much"), "--l2"),
        (("fit", "--max-iter", "1.5"), "Invalid value for --max-iter: 1.5 is no integer."),
        (("fit", "--seed", "x"), "Invalid value for --seed: x is no integer."),
        (("fit", "a.csv", "b.csv"), "'b.csv' belongs to no option. Name the class column with --target b.csv."),
        (("fit", "--drop=id", "a.csv", "colour"), "'colour' belongs to no option. Write --drop once per column: --drop colour."),
        (("fit", "a.csv", "--target", "my", "kind"), "'kind' belongs to no option. Put quotes around a name that holds spaces."),
        (
            ("fit", "a.csv", "--target", "kind", "--drop", "id", "colour", "place"),
            "'colour' 'place' belong to no option. Write --drop once per column: --drop colour --drop place.",
        ),
    ],
)
def test_arguments_that_do_not_parse(tmp_path, xent_command, arguments, said):
    done = xent_command(*arguments)
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)
    assert said in done.stderr
    assert re.search(r"[a-z0-9\]}\"'][.?] See: xent (fit )?--help\n$", done.stderr)
    assert ".." not in done.stderr
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("text", ["0", "00", "+0", "0e5", "0.0"])
def test_an_integer_may_be_written_in_many_ways(tmp_path, xent_command, text):
    (tmp_path / "table.csv").write_text(GOOD)
    assert "cross-entropy: 0 iterations" in xent_command("fit", *CSV, "--max-iter", text).stdout
