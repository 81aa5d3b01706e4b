"""Data frames that are imported when they are asked for."""

from __future__ import annotations

import subprocess
import sys

BEGIN = "import sys; from jobs.arrow import postpone_pandas; postpone_pandas(); import pyarrow as pa; "


def said(program: str) -> str:
    return subprocess.run([sys.executable, "-c", BEGIN + program], capture_output=True, text=True, timeout=120, check=True).stdout.strip()


def test_arrays_and_tables_leave_pandas_out():
    assert said("pa.array(['a', None]); pa.table({'b': [1.5]}).to_pylist(); pa.scalar(''); print('pandas' in sys.modules)") == "False"


def test_a_data_frame_is_made_when_it_is_asked_for():
    assert said("print(pa.table({'a': [1, 2]}).to_pandas()['a'].tolist())") == "[1, 2]"


def test_pandas_is_known_again_after_a_data_frame():
    program = "frame = pa.table({'a': [1.0, None]}).to_pandas(); print(pa.array(frame['a']).null_count, pa.Table.from_pandas(frame).num_rows)"
    assert said(program) == "1 2"


def test_pandas_that_is_there_already_stays():
    program = "import sys, pandas; from jobs.arrow import postpone_pandas; postpone_pandas(); print(sys.modules['pandas'] is pandas)"
    assert subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=120, check=True).stdout.strip() == "True"
