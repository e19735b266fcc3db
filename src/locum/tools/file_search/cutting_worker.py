"""The process that cuts long texts, started by `cutters`: calls come, results or failures go."""

import pickle

from locum.tools.file_search import pipe_end


def main() -> None:
    pipe_end.step_back()
    pipe_end.serve(_carry_out)


def _carry_out(call: bytes) -> bytes:
    work = pickle.loads(call)  # noqa: S301  # the server's own words
    try:
        return pickle.dumps((True, work()))
    except Exception as error:  # noqa: BLE001  # the server raises it again
        return pickle.dumps((False, error))


if __name__ == "__main__":
    main()
