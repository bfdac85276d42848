"""The SDK finds the stores with the reduced list of endpoints as it does with the whole one."""

from __future__ import annotations

import shutil
from pathlib import Path

import botocore
import pytest
from botocore.loaders import Loader

from service.deployment.endpoints import reduce_endpoints

WHOLE = Path(botocore.__file__).parent / "data"


@pytest.fixture(scope="module")
def reduced(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("package")
    data = folder / "botocore" / "data"
    data.mkdir(parents=True)
    shutil.copyfile(WHOLE / "endpoints.json", data / "endpoints.json")
    reduce_endpoints(folder)
    return data


def test_each_region_of_the_two_services_is_still_known(reduced: Path) -> None:
    def regions(data: Path) -> dict[str, set[str]]:
        loader = Loader(extra_search_paths=[str(data)], include_default_search_paths=False)
        return {
            f"{partition['partition']}/{service}": set(
                partition["services"].get(service, {}).get("endpoints", {})
            )
            for partition in loader.load_data("endpoints")["partitions"]
            for service in ("s3", "dynamodb")
        }

    assert "eu-west-1" in regions(reduced)["aws/s3"]
    assert regions(reduced) == regions(WHOLE)


def test_little_is_left_of_it(reduced: Path) -> None:
    assert (reduced / "endpoints.json").stat().st_size < 30_000
