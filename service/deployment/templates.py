"""Templates as CloudFormation gets them: as they are, and by URL when they are long."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import yaml

from service.deployment.artifacts import Artifacts

_LONGEST_BODY = 51_200  # bytes that CreateChangeSet takes


@dataclass(frozen=True, slots=True)
class Template:
    """A template's text and the names of its parameters."""

    text: str
    parameters: frozenset[str]


def read_template(path: Path) -> Template:
    """The template at a path, whatever functions it uses."""
    text = path.read_text("utf-8")
    document = yaml.load(text, _Loader)  # noqa: S506 (a SafeLoader that passes tags over)
    return Template(text, frozenset(document.get("Parameters") or ()))


async def template_argument(template: Template, artifacts: Artifacts) -> dict[str, str]:
    """How a call names the template. Raises DeploymentFailed, StoreUnavailable."""
    body = template.text.encode()
    if len(body) <= _LONGEST_BODY:
        return {"TemplateBody": template.text}
    key = await artifacts.put(body, "template", ".yaml")
    endpoint = artifacts.s3.meta.endpoint_url
    return {"TemplateURL": f"{endpoint}/{artifacts.bucket}/{key}"}


class _Loader(yaml.SafeLoader):
    """Plain YAML; CloudFormation's own tags are passed over."""


def _pass_over(_loader: _Loader, _tag: str, _node: yaml.Node) -> None:
    return None


_Loader.add_multi_constructor("!", _pass_over)
