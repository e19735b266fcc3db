"""Libraries that draw, and the work people ask a code interpreter for."""

import asyncio
import csv
import io
import os
import tempfile
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.tools.code_interpreter.conftest import rig_of
from tests.tools.code_interpreter.rig import UNSAFE, WALLED, Rig

from locum.tools.code_interpreter.packages import install
from locum.tools.code_interpreter.sandbox import Logs, Picture

# Half a gigabyte is fetched once: the directory is kept, and named by what is in it.
pytestmark = pytest.mark.slow
PNG = b"\x89PNG\r\n\x1a\n"


@pytest.fixture(scope="module")
def packages() -> Path:
    kept = Path(tempfile.gettempdir()) / f"locum-tests-{os.getuid()}"
    return asyncio.run(install(kept))


@pytest.fixture(scope="module", params=[WALLED, UNSAFE])
def rig(
    request: pytest.FixtureRequest, packages: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Rig]:
    with rig_of(request.param, tmp_path_factory.mktemp("sandbox"), packages=packages) as made:
        yield made


def test_what_a_notebook_displays_is_shown(rig: Rig) -> None:
    code = """
from IPython.display import Image, display
import matplotlib.pyplot as plt, pandas as pd, sympy
sympy.init_printing()
display(pd.DataFrame({'a': [1, 2]}))
plt.plot([1, 2, 3])
plt.savefig('plot.jpg')
plt.show()
Image('plot.jpg')
"""
    said, shown, named = rig.run(rig.session(), code)

    assert said == Logs("   a\n0  1\n1  2")
    assert isinstance(shown, Picture)
    assert isinstance(named, Picture)
    assert shown.data.startswith(PNG)
    assert named.data.startswith(PNG)


def test_a_shown_figure_is_a_picture_between_the_logs_around_it(rig: Rig) -> None:
    code = """
import matplotlib.pyplot as plt
plt.plot([1, 2, 3])
print('before')
plt.show()
print('after')
"""
    before, picture, after = rig.run(rig.session(), code)

    assert (before, after) == (Logs("before\n"), Logs("after\n"))
    assert isinstance(picture, Picture)
    assert picture.data.startswith(PNG)


def test_figures_are_shown_once_and_in_order(rig: Rig) -> None:
    session = rig.session()
    rig.run(session, "import matplotlib.pyplot as plt")

    two = "for n in (1, 2): plt.figure(figsize=(n, 1), dpi=100)"
    assert len(rig.pictures(session, f"{two}\nplt.show()")) == 2
    assert rig.pictures(session, "plt.show()") == []


def test_a_figure_as_the_last_expression_is_a_picture(rig: Rig) -> None:
    code = "import matplotlib.pyplot as plt\nfigure, axes = plt.subplots()\nfigure"

    [picture] = rig.run(rig.session(), code)

    assert isinstance(picture, Picture)


def test_images_are_shown_as_they_are(rig: Rig) -> None:
    session = rig.session()
    code = "from PIL import Image\nImage.new('CMYK', (3, 2)).show()\nImage.new('L', (3, 2))"

    shown = rig.pictures(session, code)

    assert [data[16:24] for data in shown] == [b"\0\0\0\x03\0\0\0\x02"] * 2


def test_a_csv_becomes_a_chart_and_a_workbook(rig: Rig, tmp_path: Path) -> None:
    session = rig.session()
    with (tmp_path / "sales.csv").open("w", newline="") as file:
        csv.writer(file).writerows([["month", "sum"], ["May", 3], ["June", 4]])
    rig.wait(session.put("sales.csv", tmp_path / "sales.csv"))
    code = """
import matplotlib.pyplot as plt
import pandas as pd
table = pd.read_csv('/mnt/data/sales.csv')
table.plot.bar(x='month')
plt.savefig('/mnt/data/chart.png')
plt.show()
table.to_excel('/mnt/data/sales.xlsx', index=False)
table['sum'].sum()
"""
    picture, total = rig.run(session, code)

    assert isinstance(picture, Picture)
    assert total == Logs("np.int64(7)")
    assert sorted(rig.wait(session.files())) == ["chart.png", "sales.csv", "sales.xlsx"]
    assert rig.read(session, "chart.png").startswith(PNG)
    with zipfile.ZipFile(io.BytesIO(rig.read(session, "sales.xlsx"))) as workbook:
        assert any(b"June" in workbook.read(name) for name in workbook.namelist())


def test_the_promised_packages_work_within_the_limits(rig: Rig) -> None:
    code = """
import numpy, openpyxl, pandas, scipy.optimize, scipy.linalg, sympy
from concurrent.futures import ThreadPoolExecutor
x = sympy.symbols('x')
matrix = numpy.random.default_rng(0).random((400, 400))
with ThreadPoolExecutor(4) as pool:
    sums = list(pool.map(lambda _: numpy.linalg.svd(matrix)[1].sum(), range(4)))
print(sympy.integrate(x**2, x), scipy.optimize.brentq(lambda v: v - 2, 0, 5))
len(set(sums))
"""
    assert rig.logs(rig.session(), code) == "x**3/3 2.0\n1"


def test_packages_are_found_by_child_processes(rig: Rig) -> None:
    code = """
import subprocess, sys
subprocess.run([sys.executable, '-c', 'import numpy; print(numpy.ones(3).sum())'],
               capture_output=True, text=True).stdout
"""
    assert rig.logs(rig.session(), code) == "'3.0\\n'"


def test_a_figure_of_plotly_becomes_a_picture_or_a_page(rig: Rig) -> None:
    session = rig.session()
    code = """
import os, sys
os.makedirs('/tmp/fake/plotly', exist_ok=True)
open('/tmp/fake/plotly/__init__.py', 'w').close()
open('/tmp/fake/plotly/io.py', 'w').write('def show(figure): raise NotImplementedError')
sys.path.insert(0, '/tmp/fake')
import plotly.io
class Figure:
    def __init__(self, png): self.png = png
    def to_image(self, format):
        if self.png is None: raise ValueError('no browser')
        return self.png
    def write_html(self, path): open(path, 'w').write('<html>')
"""
    rig.run(session, code)

    shown = r"plotly.io.show(Figure(b'\x89PNG\r\n\x1a\n'))"
    assert rig.run(session, shown) == [Picture(PNG)]
    assert rig.logs(session, "plotly.io.show(Figure(None))").endswith("/figure-1.html\n")
    assert list(rig.wait(session.files())) == ["figure-1.html"]


def test_memory_killing_a_table_of_pandas_is_told(rig: Rig) -> None:
    session = rig.session()

    text = rig.logs(session, "import numpy\nx = [numpy.ones(1 << 24) for _ in range(100)]")

    assert "MemoryError" in text or "killed: more than 1024 MiB of memory" in text
    assert rig.logs(session, "1 + 1").endswith("2")


def test_a_figure_that_nobody_has_shown_is_shown_when_the_code_ends(rig: Rig) -> None:
    session = rig.session()
    rig.run(session, "import matplotlib.pyplot as plt")

    assert len(rig.pictures(session, "plt.plot([1, 2]);")) == 1
    # As in a notebook, it is closed with that.
    assert rig.pictures(session, "plt.get_fignums()") == []


def test_a_figure_that_is_the_last_value_is_shown_once(rig: Rig) -> None:
    session = rig.session()
    rig.run(session, "import matplotlib.pyplot as plt")

    assert len(rig.pictures(session, "figure, axes = plt.subplots()\nfigure")) == 1
    assert len(rig.pictures(session, "figure")) == 1


def test_what_code_drew_before_it_failed_is_not_shown_with_its_next_try(rig: Rig) -> None:
    session = rig.session()
    rig.run(session, "import matplotlib.pyplot as plt")

    assert len(rig.pictures(session, "plt.plot([1, 2])\n1 / 0")) == 1
    assert len(rig.pictures(session, "plt.plot([1, 2])\nplt.show()")) == 1


def test_a_figure_that_cannot_be_drawn_is_an_error_of_the_code(rig: Rig) -> None:
    session = rig.session()
    rig.run(session, "import matplotlib.pyplot as plt")

    assert "ValueError" in rig.logs(session, "plt.title(r'$\\frac{1$');")
    assert rig.logs(session, "1") == "1"
