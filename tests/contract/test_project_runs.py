"""Runs of all threads: ours, beyond the original."""

from collections.abc import Callable

from tests.contract.requirements import covers
from tests.kit.server import Server
from tests.kit.talk import Talk


@covers("runs.list:project", "runs.get:by_id")
def test_runs_are_listed_and_found_whichever_thread_they_belong_to(
    make_server: Callable[..., Server],
) -> None:
    server = make_server()
    mine, _ = server.add_key("proj_a")
    other, _ = server.add_key("proj_b")
    talk = Talk(server.http(mine))
    runs = [talk.run(f"!say {number}") for number in range(3)]
    assert len({run["thread_id"] for run in runs}) == 3
    first = talk.http.get("/v1/runs?limit=2").json
    assert (first["data"], first["has_more"]) == (runs[:0:-1], True)
    rest = talk.http.get(f"/v1/runs?limit=2&after={first['last_id']}").json
    assert (rest["data"], rest["has_more"]) == (runs[:1], False)
    assert talk.http.get(f"/v1/runs/{runs[0]['id']}").json == runs[0]
    assert talk.http.get("/v1/runs/run_nope").status == 404
    stranger = server.http(other)
    assert stranger.get("/v1/runs").json["data"] == []
    assert stranger.get(f"/v1/runs/{runs[0]['id']}").status == 404
