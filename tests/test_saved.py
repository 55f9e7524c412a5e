"""What the notebooks' runner and the commit hook notice."""

import re

import check_saved
import nbformat
import pytest
import run
from nbformat import v4


def saved(path, *cells, **metadata):
    nbformat.write(v4.new_notebook(cells=list(cells), metadata=metadata), path)
    return path


def cell(*outputs, source="1 + 1", count=1):
    return v4.new_code_cell(source, outputs=list(outputs), execution_count=count)


ERROR = v4.new_output("error", ename="ValueError", evalue="", traceback=[])
WARNING = v4.new_output("stream", name="stderr", text="UserWarning: old")
PRINTED = v4.new_output("stream", name="stdout", text="2")


def test_a_notebook_that_was_run_is_fine(tmp_path, capsys):
    notes = [v4.new_markdown_cell("# Two"), cell(PRINTED), cell(source="", count=None)]
    path = saved(tmp_path / "fine.ipynb", *notes)
    assert check_saved.faults(path) == []
    assert check_saved.main([str(path)]) == 0
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize(
    "wrong, fault",
    [
        (cell(count=None), "cell 2 was not run"),
        (cell(PRINTED, ERROR), "cell 2 ended with ValueError"),
        (cell(WARNING), "cell 2 wrote .* standard error"),
    ],
)
def test_a_cell_at_fault_is_named(tmp_path, capsys, wrong, fault):
    path = saved(tmp_path / "bad.ipynb", v4.new_markdown_cell("# One"), wrong)
    (found,) = check_saved.faults(path)
    assert re.search(fault, found)
    assert check_saved.main([str(path)]) == 1
    assert f"{path}: {found}" in capsys.readouterr().out


def test_widget_state_and_weight_are_refused(tmp_path):
    path = saved(tmp_path / "state.ipynb", cell(PRINTED), widgets={"state": {}})
    assert check_saved.faults(path) == ["it holds the state of its panels"]
    heavy = v4.new_output("stream", name="stdout", text="x" * 1_500_000)
    (found,) = check_saved.faults(saved(tmp_path / "heavy.ipynb", cell(heavy)))
    assert "1.50 MB" in found


def test_the_runner_notices_changed_data_but_not_pythons_caches(tmp_path):
    (tmp_path / "truth.txt").write_text("1")
    before = run.state(tmp_path)
    (tmp_path / "__pycache__").mkdir()
    (tmp_path / "__pycache__" / "make.cpython-312.pyc").write_bytes(b"compiled")
    assert run.state(tmp_path) == before
    (tmp_path / "truth.txt").write_text("12")
    assert run.state(tmp_path) != before
