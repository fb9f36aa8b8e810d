"""Whatever dies, is delivered twice, is cut or changed: the bytes of the undisturbed run, or a clear refusal."""

import errno
import os
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import psutil
import pyarrow as pa
import pyarrow.parquet as pa_parquet
import pytest

import xent
from tests.evaluate.conftest import Rows
from tests.evaluate.faulty import COLUMNS, Faulty
from xent.evaluate import Choices, Engine, Totals, evaluate_files
from xent.evaluate.engines.manifest import Manifest
from xent.evaluate.engines.partials import Partials
from xent.evaluate.engines.run import completed
from xent.evaluate.inputs import files

ROOT = Path(__file__).parents[2]
SMALL = "import runpy, xent.evaluate.inputs.files as files; files.UNIT_NUMBERS = 1; "
DRIVER = SMALL + "runpy.run_module('tests.evaluate.faulty', run_name='__main__')"

# Ray's own.
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning", "ignore::ResourceWarning")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four files, of which two have two row groups: six units."""
    rows, path = Rows(3000), tmp_path_factory.mktemp("predictions")
    probs = {f"p_{name}": rows.probs[:, n] for n, name in enumerate(rows.names)}
    table = pa.table({**probs, "y": np.array(rows.names)[rows.target], "id": rows.ids})
    for n in range(4):
        size = 350 if n < 2 else 1000
        pa_parquet.write_table(table.slice(750 * n, 750), path / f"part-{n}.parquet", row_group_size=size)
    return path


@pytest.fixture(scope="module", autouse=True)
def small_units() -> object:
    """Every row group is a unit."""
    patch = pytest.MonkeyPatch()
    patch.setattr(files, "UNIT_NUMBERS", 1)
    yield
    patch.undo()


@pytest.fixture(scope="module")
def undisturbed(folder: Path) -> bytes:
    return evaluate_files([str(folder)], COLUMNS).to_bytes()


@pytest.fixture(scope="module")
def cluster() -> object:
    ray = pytest.importorskip("ray", reason="Ray is not installed")
    ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False, object_store_memory=100 << 20)
    yield
    ray.shutdown()


def engine_of(name: str | None, request: pytest.FixtureRequest, **options: object) -> Engine:
    if name == "ray":
        request.getfixturevalue("cluster")
    return Engine(name, 2 if name == "local" else None, **options)  # type: ignore[arg-type]


def job(folder: Path) -> Manifest:
    return Faulty.job(str(folder), -1, 0, "")


def test_there_are_units_to_lose(folder: Path) -> None:
    units = job(folder).units
    assert len(units) == 8
    assert sum(unit.rows or 0 for unit in units) == 3000


@pytest.mark.parametrize("name", ["local", "ray"])
def test_an_engine_gives_the_same_bytes(name: str, folder: Path, undisturbed: bytes, request: pytest.FixtureRequest) -> None:
    assert evaluate_files([str(folder)], COLUMNS, engine=engine_of(name, request)).to_bytes() == undisturbed


@pytest.mark.parametrize("name", ["local", "ray"])
def test_a_worker_that_is_killed_once_changes_no_bit(
    name: str, folder: Path, undisturbed: bytes, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    faulty = Faulty.job(str(folder), 3, 1, str(tmp_path))
    assert completed(faulty, engine_of(name, request)).to_bytes() == undisturbed
    assert len(list(tmp_path.glob("attempt-*"))) == 1


def test_a_unit_that_kills_every_worker_is_given_up(folder: Path, tmp_path: Path) -> None:
    faulty = Faulty.job(str(folder), 3, 1000, str(tmp_path))
    with pytest.raises(xent.ArgumentError) as refused:
        completed(faulty, Engine("local", 2))
    assert str(refused.value).endswith(
        "part-1.parquet, rows 0 to 349: 3 processes in turn died over it. Was memory short? Fewer --workers take less. "
        'Does a script call this? Call it under if __name__ == "__main__":'
    )


def test_a_partial_result_is_given_only_where_it_is_allowed(folder: Path, tmp_path: Path) -> None:
    faulty = Faulty.job(str(folder), 3, 1000, str(tmp_path))
    totals = completed(faulty, Engine("local", 2, allow_partial=True))
    assert totals.counts["rows"] == 3000 - 350
    assert "3 processes in turn died over it" in totals.failure
    partials = Partials(job(folder))
    with pytest.raises(xent.ArgumentError, match=r"a result needs every unit of work; 8 of 8 are missing: .*part-0\.parquet"):
        partials.merged()


def test_a_driver_that_is_killed_goes_on_where_it_stopped(folder: Path, undisturbed: bytes, tmp_path: Path) -> None:
    states = tmp_path / "states"
    command = [sys.executable, "-c", DRIVER, str(folder), str(tmp_path), str(states)]
    assert subprocess.run(command, cwd=ROOT, check=False).returncode == -signal.SIGKILL
    assert len(list(states.glob("*.state"))) == 2
    before = {path: path.stat().st_mtime_ns for path in states.glob("*.state")}
    assert evaluate_files([str(folder)], COLUMNS, engine=Engine(resume=str(states))).to_bytes() == undisturbed
    assert {path: path.stat().st_mtime_ns for path in before} == before
    assert not list(states.glob(".xent-*"))


def test_states_of_another_job_are_refused(folder: Path, tmp_path: Path) -> None:
    evaluate_files([str(folder)], COLUMNS, engine=Engine(resume=str(tmp_path)))
    with pytest.raises(xent.ArgumentError, match="--resume goes on with the same job"):
        evaluate_files([str(folder)], COLUMNS, choices=Choices(bins=10), engine=Engine(resume=str(tmp_path)))


def test_an_altered_state_is_refused(folder: Path, tmp_path: Path) -> None:
    evaluate_files([str(folder)], COLUMNS, engine=Engine(resume=str(tmp_path)))
    state = sorted(tmp_path.glob("*.state"))[0]
    state.write_bytes(state.read_bytes()[:-3])
    with pytest.raises(xent.ArgumentError, match=r"000000\.state: it is another.* Remove that file"):
        evaluate_files([str(folder)], COLUMNS, engine=Engine(resume=str(tmp_path)))


def test_the_state_of_another_unit_is_refused(folder: Path, tmp_path: Path) -> None:
    evaluate_files([str(folder)], COLUMNS, engine=Engine(resume=str(tmp_path)))
    first, second, *_ = sorted(tmp_path.glob("*.state"))
    first.write_bytes(second.read_bytes())
    with pytest.raises(xent.ArgumentError, match=r"000000\.state: it is another.* Remove that file"):
        evaluate_files([str(folder)], COLUMNS, engine=Engine(resume=str(tmp_path)))


def test_a_folder_in_place_of_a_state_is_refused(folder: Path, tmp_path: Path) -> None:
    evaluate_files([str(folder)], COLUMNS, engine=Engine(resume=str(tmp_path)))
    state = sorted(tmp_path.glob("*.state"))[0]
    state.unlink()
    state.mkdir()
    with pytest.raises(xent.ArgumentError, match=r"000000\.state gives: Is a directory"):
        evaluate_files([str(folder)], COLUMNS, engine=Engine(resume=str(tmp_path)))


def test_a_state_that_is_found_is_read_once(
    folder: Path, undisturbed: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    evaluate_files([str(folder)], COLUMNS, engine=Engine(resume=str(tmp_path)))
    read, count = Totals.from_bytes, []
    monkeypatch.setattr(Totals, "from_bytes", lambda data: count.append(1) or read(data))
    assert evaluate_files([str(folder)], COLUMNS, engine=Engine(resume=str(tmp_path))).to_bytes() == undisturbed
    assert len(count) == 8


@pytest.mark.parametrize("name", [None, "local", "ray"])
def test_where_every_unit_is_refused_the_first_error_is_raised(
    name: str | None, folder: Path, request: pytest.FixtureRequest
) -> None:
    wrong = replace(COLUMNS, kind="log-probs")
    with pytest.raises(xent.DistributionError) as whole:
        evaluate_files([str(folder)], wrong)
    with pytest.raises(xent.DistributionError) as partial:
        evaluate_files([str(folder)], wrong, engine=engine_of(name, request, allow_partial=True))
    assert str(partial.value) == str(whole.value)


def test_a_state_that_comes_twice_counts_once_and_another_is_refused(folder: Path, undisturbed: bytes) -> None:
    manifest = job(folder)
    states = [manifest.count(number, manifest.zero()).to_bytes() for number in range(8)]
    partials = Partials(manifest)
    for number in [*range(8), 3, 0]:
        partials.add(number, states[number])
    assert partials.merged().to_bytes() == undisturbed
    with pytest.raises(xent.ArgumentError, match=r"a unit must give the same state each time; unit 2 \("):
        partials.add(2, states[3])


@pytest.fixture
def own(folder: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(folder, tmp_path / "own"))


@pytest.mark.parametrize("name", ["local", "ray"])
def test_a_file_that_changes_after_it_was_listed_is_refused(name: str, own: Path, request: pytest.FixtureRequest) -> None:
    manifest = job(own)
    with (own / "part-2.parquet").open("ab") as file:
        file.write(b"more")
    with pytest.raises(xent.ArgumentError, match=r"files must stay as they are.*part-2\.parquet had \d+ bytes and has"):
        completed(manifest, engine_of(name, request))


def test_a_file_of_the_same_size_that_was_written_again_is_refused(own: Path) -> None:
    manifest = job(own)
    os.utime(own / "part-2.parquet", ns=(0, 0))
    with pytest.raises(xent.ArgumentError, match="or was written again"):
        completed(manifest, Engine())


def test_a_file_that_is_gone_is_refused(own: Path) -> None:
    manifest = job(own)
    (own / "part-2.parquet").unlink()
    with pytest.raises(xent.ArgumentError, match="gives: No such file"):
        completed(manifest, Engine())


def test_a_truncated_file_is_refused(own: Path) -> None:
    data = (own / "part-2.parquet").read_bytes()
    (own / "part-2.parquet").write_bytes(data[:-100])
    with pytest.raises(xent.ArgumentError, match=r"part-2\.parquet gives"):
        evaluate_files([str(own)], COLUMNS, engine=Engine("local", 2))


@pytest.mark.parametrize("name", ["local", "ray"])
def test_rows_that_are_refused_stop_the_job_in_the_same_words(name: str, own: Path, request: pytest.FixtureRequest) -> None:
    table = pa_parquet.read_table(own / "part-3.parquet")
    bad = table.set_column(0, "p_k0", pa.array(np.full(750, 7.0)))
    pa_parquet.write_table(bad, own / "part-3.parquet", row_group_size=1000)
    with pytest.raises(xent.DistributionError) as here:
        evaluate_files([str(own)], COLUMNS)
    with pytest.raises(xent.DistributionError) as there:
        evaluate_files([str(own)], COLUMNS, engine=engine_of(name, request))
    assert str(there.value) == str(here.value)


def test_a_full_disk_leaves_no_half_state(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    renamed: list[str] = []
    replace = Path.replace

    def full(self: Path, target: Path) -> Path:
        if str(target).endswith(".state") and len(renamed) == 2:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        renamed.extend([str(target)] if str(target).endswith(".state") else [])
        return replace(self, target)

    monkeypatch.setattr(Path, "replace", full)
    with pytest.raises(xent.ArgumentError, match=r"the folder of --resume must be writable; .* No space left on device"):
        evaluate_files([str(folder)], COLUMNS, engine=Engine(resume=str(tmp_path)))
    assert sorted(path.name for path in tmp_path.iterdir() if path.suffix == ".state") == sorted(
        Path(name).name for name in renamed
    )
    assert not list(tmp_path.glob(".xent-*"))


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"name": "spark"}, "engine must be local or ray; found 'spark'. Leave it out to run in this process."),
        ({"name": "local", "workers": 0}, "workers must be at least 1; found 0. Leave it out for one a processor."),
        ({"workers": 2}, "workers are processes of --engine local; the engine is None. Add --engine local."),
        (
            {"resume": ""},
            "the folder of --resume (resume=) needs a name; it is empty. Name one, or . for this folder.",
        ),
        ({"address": "auto"}, "an address is that of a Ray cluster; the engine is None. Add --engine ray."),
    ],
)
def test_options_that_do_not_go_together(options: dict[str, object], said: str) -> None:
    with pytest.raises(xent.ArgumentError) as refused:
        Engine(**options)  # type: ignore[arg-type]
    assert str(refused.value) == said


KILLED = """
import os, signal, sys, threading, time
import psutil
from tests.evaluate.faulty import COLUMNS
from xent.evaluate import Engine, evaluate_files

def kill():
    while len(children := psutil.Process().children()) < 3:
        time.sleep(0.05)
    time.sleep(1.0)
    print(*(child.pid for child in children), flush=True)
    os.kill(os.getpid(), signal.SIGKILL)

if __name__ == "__main__":
    threading.Thread(target=kill, daemon=True).start()
    while True:
        evaluate_files([sys.argv[1]], COLUMNS, engine=Engine("local", 2))
"""


def test_workers_end_when_their_driver_is_killed(folder: Path, tmp_path: Path) -> None:
    script = tmp_path / "driver.py"
    script.write_text(KILLED)
    environment = os.environ | {"PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'src'}"}
    command = [sys.executable, str(script), str(folder)]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, env=environment, timeout=120, check=False)
    assert done.returncode == -signal.SIGKILL
    workers = [psutil.Process(int(pid)) for pid in done.stdout.split() if psutil.pid_exists(int(pid))]
    _, alive = psutil.wait_procs(workers, timeout=30)
    assert [process for process in alive if process.status() != psutil.STATUS_ZOMBIE] == []


def test_an_interruption_is_one_line_though_workers_hear_it_too(folder: Path) -> None:
    """A terminal sends Ctrl-C to the whole group, here while the workers start."""
    command = [sys.executable, "-m", "xent.cli", "evaluate", str(folder), "--probs", "p_", "--target", "y", "--id", "id"]
    environment = os.environ | {"PYTHONPATH": str(ROOT / "src")}
    driver = subprocess.Popen(
        [*command, "--engine", "local", "--workers", "2"],
        env=environment,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    while len(workers := psutil.Process(driver.pid).children()) < 3 and driver.poll() is None:
        time.sleep(0.02)
    os.killpg(driver.pid, signal.SIGINT)
    _, said = driver.communicate(timeout=60)
    assert said.endswith("xent: interrupted; nothing is half written\n")
    assert "Traceback" not in said
    _, alive = psutil.wait_procs(workers, timeout=30)
    assert [process for process in alive if process.status() != psutil.STATUS_ZOMBIE] == []
