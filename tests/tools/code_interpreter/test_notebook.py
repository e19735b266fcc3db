"""What a notebook takes beside plain Python: models write for one, as the original had one."""

import base64

from tests.tools.code_interpreter.conftest import Build
from tests.tools.code_interpreter.rig import Rig

from locum.tools.code_interpreter.limits import Limits
from locum.tools.code_interpreter.sandbox import Logs, Picture

PNG = b"\x89PNG\r\n\x1a\n"


def test_a_line_for_the_shell_is_run_by_it(any_rig: Rig) -> None:
    session = any_rig.session()

    code = "print('before')\nif True:\n    !echo it\\'s && echo 'me  too'\nprint('after')"
    assert any_rig.logs(session, code) == "before\nit's\nme  too\nafter\n"


def test_what_a_line_for_the_shell_prints_may_be_given_a_name(any_rig: Rig) -> None:
    code = "if True:\n    got = !printf 'one\\ntwo\\n'; ls nothing\nprint(len(got), got[:2])"

    assert any_rig.logs(any_rig.session(), code) == "3 ['one', 'two']\n"


def test_a_cell_for_the_shell_is_run_by_it(any_rig: Rig) -> None:
    code = '\n%%bash\nfor n in 1 2; do\n  echo "n is $n"\ndone\n'

    assert any_rig.logs(any_rig.session(), code) == "n is 1\nn is 2\n"


def test_what_the_shell_refuses_does_not_end_the_call(any_rig: Rig) -> None:
    assert any_rig.logs(any_rig.session(), "!exit 3\nprint('on')") == "on\n"


def test_lines_in_a_string_are_not_for_the_shell(any_rig: Rig) -> None:
    code = "!echo one\ntext = '''\n!echo two\n%matplotlib inline\n'''\nprint(text)"

    assert any_rig.logs(any_rig.session(), code) == "one\n\n!echo two\n%matplotlib inline\n\n"


def test_magics_that_set_a_notebook_up_say_nothing(any_rig: Rig) -> None:
    code = "%matplotlib inline\n%config InlineBackend.figure_format = 'retina'\n1 + 1"

    assert any_rig.logs(any_rig.session(), code) == "2"


def test_a_magic_that_is_not_there_is_an_error_with_its_name(any_rig: Rig) -> None:
    logs = any_rig.logs(any_rig.session(), "x = 1\n%reset -f")

    assert "line 2" in logs
    assert logs.endswith("NameError: there is no %reset here\n")
    assert "runner.py" not in logs


def test_an_error_after_a_line_for_the_shell_names_its_own_line(any_rig: Rig) -> None:
    logs = any_rig.logs(any_rig.session(), "!true\n1 +")

    assert "line 2" in logs
    assert "SyntaxError" in logs


def test_display_tells_values_wherever_it_stands(any_rig: Rig) -> None:
    code = "for n in (1, 'two'):\n    display(n)\ndisplay(3, 4)"

    assert any_rig.logs(any_rig.session(), code) == "1\n'two'\n3\n4"


def test_what_code_imports_from_a_notebook_to_display_with_is_there(any_rig: Rig) -> None:
    png = base64.b64encode(PNG + b"rest").decode()
    code = f"""
import base64
import IPython
from IPython.display import HTML, Image, Markdown, clear_output, display
from IPython.core.display import display as older
clear_output(wait=True)
display(Markdown('# Two\\n'), HTML(data='<b>three</b>'))
open('p.png', 'wb').write(base64.b64decode('{png}'));
display(Image(filename='p.png'), Image(base64.b64decode('{png}')))
older(4)
Image('p.png')
"""
    session = any_rig.session()
    outputs = any_rig.run(session, code)

    said = "".join(output.text for output in outputs if isinstance(output, Logs))
    assert said == "# Two\n<b>three</b>\n4"
    assert [o.data for o in outputs if isinstance(o, Picture)] == [PNG + b"rest"] * 3


def test_code_may_await_outside_a_function(any_rig: Rig) -> None:
    session = any_rig.session()

    code = """
import asyncio
ready = asyncio.Event()
async def half(n):
    ready.set()
    return n / 2
x = await half(4)
print(x)
await half(x)
"""
    assert any_rig.logs(session, code) == "2.0\n1.0"
    # What was made in the loop of one call is of use in the next.
    assert any_rig.logs(session, "await ready.wait()\nasyncio.run(half(3))") == "1.5"


def test_an_error_of_what_is_awaited_is_a_log(any_rig: Rig) -> None:
    logs = any_rig.logs(any_rig.session(), "async def fail():\n    1 / 0\nawait fail()")

    assert logs.startswith('Traceback (most recent call last):\n  File "<cell 1>", line 3')
    assert logs.endswith("ZeroDivisionError: division by zero\n")


def test_what_was_interrupted_while_it_waited_does_not_go_on_with_the_next_call(
    build_any: Build,
) -> None:
    # Long enough for what takes longest: to import asyncio.
    rig = build_any(limits=Limits(wall_s=2.0))
    session = rig.session()

    code = "import asyncio\nready = asyncio.Event()\nawait ready.wait()\nprint('went on')"
    assert rig.logs(session, code).endswith("timed out after 2 s")
    assert rig.logs(session, "ready.set()\nawait asyncio.sleep(0)\nprint('done')") == "done\n"


def test_a_line_for_the_shell_that_overruns_costs_no_variables(build_any: Build) -> None:
    rig = build_any(limits=Limits(wall_s=0.5))
    session = rig.session()

    assert rig.logs(session, "x = 5\n!sleep 100").endswith("timed out after 0.5 s")
    assert rig.logs(session, "x") == "5"
