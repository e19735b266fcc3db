"""How `multiprocessing` starts processes within: as before Python 3.14, which needs sockets."""

import types
from multiprocessing import context

from tests.tools.code_interpreter.rig import Rig

from locum.tools.code_interpreter import runner


def test_processes_are_forked_where_that_is_not_what_this_python_would_do() -> None:
    newer = types.ModuleType("multiprocessing.context")
    newer.__dict__.update(vars(context))
    newer.__dict__["_default_context"] = context.DefaultContext(context.SpawnContext())

    runner.fork_processes(newer)

    assert newer.__dict__["_default_context"].get_start_method() == "fork"


def test_functions_of_the_session_run_in_processes_of_their_own(walled: Rig) -> None:
    code = """
from concurrent.futures import ProcessPoolExecutor
def double(n): return 2 * n
with ProcessPoolExecutor(2) as pool: print(list(pool.map(double, [1, 2])))
import multiprocessing
multiprocessing.get_start_method()
"""
    assert walled.logs(walled.session(), code) == "[2, 4]\n'fork'"


def test_code_may_still_choose_another_way(walled: Rig) -> None:
    code = """
import multiprocessing
multiprocessing.set_start_method('spawn')
multiprocessing.get_start_method()
"""
    assert walled.logs(walled.session(), code) == "'spawn'"
