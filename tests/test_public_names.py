"""What users of the package may import. A change here is a change for them."""

import locum
from locum.app import create_app
from locum.settings import Settings


def test_the_public_names_are_these() -> None:
    assert locum.__all__ == ["Settings", "__version__", "create_app"]
    assert locum.create_app is create_app
    assert locum.Settings is Settings
    assert locum.__version__.count(".") == 2


def test_a_name_that_is_not_public_is_no_attribute() -> None:
    assert not hasattr(locum, "Engine")
