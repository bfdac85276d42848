"""The reduced data of botocore describes all that the service calls, as the whole data does."""

from __future__ import annotations

import shutil
from pathlib import Path

import botocore
import pytest
from botocore.loaders import Loader
from botocore.model import ServiceModel

from service.deployment.contents import own_files
from service.deployment.models import reduce_models

CALLED = {
    "s3": {"GetObject", "CopyObject", "DeleteObjects", "HeadBucket"},
    "dynamodb": {"GetItem", "BatchGetItem", "PutItem", "UpdateItem", "DeleteItem", "Query"},
}
WHOLE = Path(botocore.__file__).parent / "data"


@pytest.fixture(scope="module")
def reduced(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("package")
    data = folder / "botocore" / "data"
    for service in CALLED:
        shutil.copytree(WHOLE / service, data / service)
    shutil.copyfile(WHOLE / "endpoints.json", data / "endpoints.json")
    reduce_models(folder, dict(own_files()).values())
    return data


def model_of(service: str, data: Path) -> ServiceModel:
    loader = Loader(extra_search_paths=[str(data)], include_default_search_paths=False)
    return ServiceModel(loader.load_service_model(service, "service-2"), service)


@pytest.mark.parametrize("service", CALLED)
def test_every_call_is_described_as_before(reduced: Path, service: str) -> None:
    small, whole = model_of(service, reduced), model_of(service, WHOLE)
    assert set(small.operation_names) >= CALLED[service]
    for name in small.operation_names:
        ours, theirs = small.operation_model(name), whole.operation_model(name)
        assert ours.http == theirs.http
        assert ours.auth_type == theirs.auth_type
        assert ours.error_shapes == [] or {each.name for each in ours.error_shapes} == {
            each.name for each in theirs.error_shapes
        }
        for before, after in (
            (theirs.input_shape, ours.input_shape),
            (theirs.output_shape, ours.output_shape),
        ):
            assert (before is None) == (after is None)
            if before is not None and after is not None:
                assert list(after.members) == list(before.members)
                assert after.required_members == before.required_members


@pytest.mark.parametrize("service", CALLED)
def test_what_is_never_called_is_gone(reduced: Path, service: str) -> None:
    small, whole = model_of(service, reduced), model_of(service, WHOLE)
    assert len(small.operation_names) < len(whole.operation_names) / 3
    packed = sum(path.stat().st_size for path in reduced.glob(f"{service}/*/service-2.json"))
    assert 10_000 < packed < 60_000
    assert not list(reduced.glob("**/*.gz"))


def test_each_region_of_the_two_services_is_still_known(reduced: Path) -> None:
    def regions(data: Path) -> dict[str, set[str]]:
        loader = Loader(extra_search_paths=[str(data)], include_default_search_paths=False)
        return {
            f"{partition['partition']}/{service}": set(
                partition["services"].get(service, {}).get("endpoints", {})
            )
            for partition in loader.load_data("endpoints")["partitions"]
            for service in CALLED
        }

    assert regions(reduced) == regions(WHOLE)
