"""All templates of a run: the bundled ones, and those of a user's folder (format: see template_file)."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path

from spatialqa.errors import TemplateError
from spatialqa.qa.built_in import BUILT_IN
from spatialqa.qa.subtype import SubtypeSet
from spatialqa.qa.templating.template_file import Template, read_template_file

BUNDLED = Path(str(resources.files("spatialqa"))) / "templates"
PARAPHRASES = "paraphrases"  # the name of a bundled set whose wordings no bundled template has

TemplatesByForm = Mapping[tuple[str, str], tuple[Template, ...]]  # by subtype and form


@dataclass(frozen=True)
class TemplateSet:
    """All templates, by (subtype, form), and the subtypes that they are of."""

    by_form: TemplatesByForm
    subtypes: SubtypeSet = BUILT_IN

    def all(self) -> Iterable[Template]:
        """Return every template, in a stable order."""
        for templates in self.by_form.values():
            yield from templates


@cache
def bundled_templates() -> TemplateSet:
    """Return the templates that come with spatialqa."""
    return TemplateSet(_bundled())


def templates_folder(name: str | Path | None) -> Path | None:
    """Return the folder of `--templates`: "paraphrases" is the bundled one, unless there is a folder of this name."""
    if name is None:
        return None
    folder = Path(name)
    return BUNDLED / PARAPHRASES if str(name) == PARAPHRASES and not folder.is_dir() else folder


def load_templates(
    folder: Path | None = None, subtypes: SubtypeSet = BUILT_IN, own: TemplatesByForm | None = None
) -> TemplateSet:
    """Return the templates of a folder's *.yaml files; types that the folder does not have stay as bundled.

    Args:
        folder: the folder; None for the bundled templates alone.
        subtypes: the subtypes that can be asked.
        own: the templates of those of them that are not built in.

    Raises:
        TemplateError: the folder has no templates, or a file or template is wrong; the text names both.
    """
    if folder is None and not own:
        return bundled_templates()
    base = {**_bundled(), **(own or {})}
    if folder is None:
        return TemplateSet(base, subtypes)
    read = _read_all(template_files(folder), subtypes)
    replaced = {subtype for subtype, _ in read}
    rest = {key: value for key, value in base.items() if key[0] not in replaced}
    _refuse_shared_ids(folder, read, rest)
    return TemplateSet({**rest, **read}, subtypes)


def template_files(folder: Path) -> list[Path]:
    """Return the template files of a folder, by name.

    Raises:
        TemplateError: there are none, or one is not a regular file in this folder, such as a link.
    """
    files = sorted(folder.glob("*.yaml")) if folder.is_dir() else []
    if not files:
        raise TemplateError(f"{folder}: no such folder, or no *.yaml file in it; put one file per question type there")
    for file in files:
        if not file.is_file() or not file.resolve().is_relative_to(folder.resolve()):
            raise TemplateError(f"{file}: is not a regular file in this folder; put the templates themselves there")
    return files


@cache
def _bundled() -> dict[tuple[str, str], tuple[Template, ...]]:
    return _read_all(sorted((f for f in BUNDLED.iterdir() if f.name.endswith(".yaml")), key=lambda f: f.name))


def _refuse_shared_ids(folder: Path, own: TemplatesByForm, rest: TemplatesByForm) -> None:
    taken = {t.template_id for templates in rest.values() for t in templates}
    for template in (t for templates in own.values() for t in templates):
        if template.template_id in taken:
            raise TemplateError(f"{folder}: template {template.template_id} has the id of a bundled one; rename it")


def _read_all(
    files: Iterable[Traversable], subtypes: SubtypeSet = BUILT_IN
) -> dict[tuple[str, str], tuple[Template, ...]]:
    by_form: dict[tuple[str, str], list[Template]] = {}
    file_of_type: dict[str, str] = {}
    file_of_id: dict[str, str] = {}
    for file in files:
        kind, templates = read_template_file(file, subtypes)
        if kind in file_of_type:
            raise TemplateError(f"{file.name}: type {kind} is already in {file_of_type[kind]}; put both in one file")
        file_of_type[kind] = file.name
        for template in templates:
            first = file_of_id.setdefault(template.template_id, file.name)
            if first != file.name:
                raise TemplateError(f"{file.name}: template {template.template_id} is also in {first}; rename one")
            by_form.setdefault((template.subtype, template.form), []).append(template)
    return {key: tuple(found) for key, found in by_form.items()}
