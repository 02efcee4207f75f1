"""make-qa: asks questions about every scene of a data set and publishes the table atomically."""

import shutil
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

import spatialqa
from spatialqa.core.files import FileRecord, temporary_name
from spatialqa.core.names import table_name
from spatialqa.core.scene import Scene
from spatialqa.dataset.card import card_facts, write_card
from spatialqa.dataset.commit import ROWS_PER_GROUP, commit_groups, commit_table
from spatialqa.dataset.folder import DatasetFolder, split_of
from spatialqa.dataset.json_records import QuestionsRecord, SkipCount
from spatialqa.dataset.manifest import CARD, write_manifest
from spatialqa.dataset.reading import read_audio, read_scenes, scene_files
from spatialqa.dataset.schema import QA, QA_WITH_AUDIO
from spatialqa.errors import DatasetError
from spatialqa.qa.ask import ONE_SCENE, DataSetView, SceneQuestions, ask, survey
from spatialqa.qa.ask_options import AskOptions, check_counts
from spatialqa.qa.balance import Balance, Survey, preference_from
from spatialqa.qa.balance_fit import balance_from
from spatialqa.qa.built_in import BUILT_IN
from spatialqa.qa.distractors import pool_from
from spatialqa.qa.question_modules import OwnQuestions, load_question_modules
from spatialqa.qa.quota import Quota
from spatialqa.qa.recipe import QaRecipe
from spatialqa.qa.subtype import SubtypeSet
from spatialqa.qa.templating.templates import TemplateSet, load_templates, templates_folder

_SCENES_PER_FILE = 20_000
_SAMPLED_FILES = 40  # from which the preference for rare distances is learnt


@dataclass(frozen=True)
class QaSummary:
    """What a run of make-qa wrote; the counters are keyed by subtype and by (subtype, reason)."""

    folder: Path
    scenes: int
    questions: Counter[str]
    skipped: Counter[tuple[str, str]]
    types: tuple[str, ...] = ()
    unmet: Mapping[str, int] = field(default_factory=dict)  # questions of a type that type_counts asks for in vain
    shards_missing: int = 0  # of an unfinished render
    subtypes: SubtypeSet = BUILT_IN  # that could be asked

    def in_order(self) -> list[tuple[str, int]]:
        """Return how many questions of each subtype were asked, in the order of the types."""
        subtypes = [name for kind in self.types for name in self._subtypes_of(kind)]
        return [(subtype, self.questions[subtype]) for subtype in subtypes if self.questions[subtype]]

    def unasked(self) -> list[str]:
        """Return a line for every asked type, or subtype, of which no scene could be asked, with the reason."""
        lines = [
            f"type_counts asks for {n:,} more questions of type {kind} than the scenes serve: render more scenes"
            for kind, n in self.unmet.items()
        ]
        for kind in self.types:
            silent = [subtype for subtype in self._subtypes_of(kind) if not self.questions[subtype]]
            if len(silent) == len(self._subtypes_of(kind)):
                lines.append(f"no question of type {kind}: {self._why(silent)}")
            else:
                lines += [f"no question of {subtype} (type {kind}): {self._why([subtype])}" for subtype in silent]
        return lines

    def _subtypes_of(self, kind: str) -> list[str]:
        return [subtype.name for subtype in self.subtypes.by_type[kind]]

    def _why(self, subtypes: Sequence[str]) -> str:
        reasons: Counter[str] = Counter()
        for (subtype, reason), n in self.skipped.items():
            if subtype in subtypes:
                reasons[reason] += n
        return ", ".join(f"{reason} ({n})" for reason, n in reasons.most_common(3))


def make_qa(root: Path, recipe: QaRecipe, on_scenes: Callable[[int, int], None] | None = None) -> QaSummary:
    """Ask questions of all scenes of `root` and write them to qa/ (or qa-NAME/), replacing what an earlier run wrote.

    Args:
        root: the data set.
        recipe: what to ask.
        on_scenes: called regularly with (scenes done, scenes in all).

    Raises:
        SpatialQAError: the data set, the recipe, a template or a question module cannot be used, or no question at all
            could be asked.
            An earlier table stays as it was.
    """
    folder = DatasetFolder(root)
    run = folder.read_own_run()
    table = table_name(recipe.name)
    if recipe.with_audio and (run.engine.name == "none" or run.export):
        raise DatasetError(f"{root}: has no audio to write beside the questions: leave --with-audio out")
    own = load_question_modules(recipe.question_modules)
    own.subtypes.check_types(recipe.types)
    countable = own.subtypes.types_for(several=False) + own.subtypes.types_for(several=True)
    check_counts(recipe.type_counts, recipe.types, recipe.questions_per_subtype, countable)
    with folder.lock():
        folder.sweep()
        facts = card_facts(folder)
        shards_missing = len(run.plan.shards) - sum(1 for _ in folder.each_shard(run))
        aside = temporary_name()  # after a kill, a later command removes it
        try:
            summary, files = _write(folder, recipe, own, aside, on_scenes)
            record = QuestionsRecord(
                spatialqa=spatialqa.__version__,
                scenes_fingerprint=run.fingerprint_hash,
                scenes=summary.scenes,
                recipe=asdict(recipe),
                questions=dict(summary.questions),
                skipped=tuple(SkipCount(s, r, n) for (s, r), n in sorted(summary.skipped.items())),
                question_modules=own.modules,
                files=tuple(replace(file, path=file.path.replace(aside, table, 1)) for file in files),
            )
            folder.mark_stale()
            folder.publish_questions(aside, record, table)
        finally:
            shutil.rmtree(folder.root / aside, ignore_errors=True)
        write_card(folder, facts)
        write_manifest(folder, [CARD])
    return replace(summary, folder=folder.root / table, shards_missing=shards_missing)


def survey_data_set(files: Sequence[Path], options: AskOptions, subtypes: SubtypeSet = BUILT_IN) -> DataSetView:
    """Count what the scenes of these files offer, and return how to thin it and what wrong options there are.

    A sample of files teaches which distances are rare; then every scene is counted, under that preference. Wrong
    options are fitted to what is left after rejection sampling, so they take one more count. What is kept of a count
    has a fixed size. Without balance, and with open answers, nothing is read.
    """
    if not options.balance and options.answer_form == "open":
        return ONE_SCENE
    balance = Balance()
    if options.balance:
        preferring = preference_from(_survey(files[:: -(-len(files) // _SAMPLED_FILES)], options, balance, subtypes))
        balance = balance_from(_survey(files, options, preferring, subtypes), preferring.preference)
    if options.answer_form == "open":
        return DataSetView(balance)
    return DataSetView(balance, pool_from(_survey(files, options, balance, subtypes)))


def _survey(files: Sequence[Path], options: AskOptions, balance: Balance, subtypes: SubtypeSet) -> Survey:
    counts = Survey()
    for path in files:
        for scene in read_scenes(path):
            survey(scene, options, counts, balance, subtypes)
    return counts


def _write(
    folder: DatasetFolder,
    recipe: QaRecipe,
    own: OwnQuestions,
    aside: str,
    on_scenes: Callable[[int, int], None] | None,
) -> tuple[QaSummary, list[FileRecord]]:
    templates = load_templates(templates_folder(recipe.templates or None), own.subtypes, own.templates)
    scenes = scene_files(folder)
    data_set = survey_data_set(scenes, recipe, own.subtypes)
    counts = recipe.type_counts
    quota = Quota(counts, _scene_counts(scenes), recipe.seed, own.subtypes) if counts else None
    bundles = list(_bundles(scenes, 1 if recipe.with_audio else _SCENES_PER_FILE))
    total = sum(rows for _, _, rows in bundles)
    per_split = Counter(split for split, _, _ in bundles)

    def ask_one(scene: Scene) -> SceneQuestions:
        if quota:
            return _ask_one(scene, recipe, templates, data_set, quota)
        return ask(scene, recipe, templates, data_set)

    seen: Counter[str] = Counter()
    done = 0
    questions: Counter[str] = Counter()
    skipped: Counter[tuple[str, str]] = Counter()
    files = []
    for split, paths, rows in bundles:
        name = f"{aside}/{split}-{seen[split]:05d}-of-{per_split[split]:05d}.parquet"
        if recipe.with_audio:
            groups = _row_groups(_rows(paths, ask_one, questions, skipped, with_audio=True))
            files.append(commit_groups(folder.root, name, QA_WITH_AUDIO, groups))
        else:
            rows_of_scenes = _rows(paths, ask_one, questions, skipped)
            batches = [batch for own in rows_of_scenes for batch in pa.Table.from_pylist(own, schema=QA).to_batches()]
            files.append(commit_table(folder.root, name, pa.Table.from_batches(batches, QA), 10_000))
        seen[split] += 1
        done += rows
        if on_scenes:
            on_scenes(done, total)
    if not questions:
        totals: Counter[str] = Counter()
        for (_, reason), n in skipped.items():
            totals[reason] += n
        reasons = ", ".join(f"{reason} ({n})" for reason, n in totals.most_common(3))
        raise DatasetError(
            f"{folder.root}: no question of type {','.join(recipe.types)} can be asked of its {total} scenes: {reasons}"
        )
    types = tuple(kind for kind in recipe.types if not quota or recipe.type_counts.get(kind))
    unmet = quota.unmet() if quota else {}
    summary = QaSummary(folder.root / aside, total, questions, skipped, types, unmet, subtypes=own.subtypes)
    return summary, files


def _rows(
    paths: Sequence[Path],
    ask_one: Callable[[Scene], SceneQuestions],
    questions: Counter[str],
    skipped: Counter[tuple[str, str]],
    with_audio: bool = False,
) -> Iterator[list[dict[str, Any]]]:
    """Yield the rows of the questions, of a file of scenes at a time or, with audio, of a scene; count them."""
    for path in paths:
        rows: list[dict[str, Any]] = []
        for scene, flac in read_audio(path) if with_audio else ((scene, b"") for scene in read_scenes(path)):
            asked = ask_one(scene)
            questions.update(question.subtype for question in asked.questions)
            skipped.update((skip.subtype, skip.reason) for skip in asked.skipped)
            rows += [question.to_row() for question in asked.questions]
            if with_audio:
                yield [{**row, "audio": {"bytes": flac, "path": f"{scene.scene_id}.flac"}} for row in rows]
                rows = []
        if not with_audio:
            yield rows


def _row_groups(scenes: Iterable[list[dict[str, Any]]]) -> Iterator[list[dict[str, Any]]]:
    """Join the rows of scenes into row groups."""
    group: list[dict[str, Any]] = []
    for rows in scenes:
        group += rows
        while len(group) >= ROWS_PER_GROUP:
            yield group[:ROWS_PER_GROUP]
            group = group[ROWS_PER_GROUP:]
    if group:
        yield group


def _ask_one(
    scene: Scene, recipe: QaRecipe, templates: TemplateSet, data_set: DataSetView, quota: Quota
) -> SceneQuestions:
    """Ask the one question that a scene is taken for, if it allows any subtype of that type."""
    asked = SceneQuestions([], [])
    for subtype in quota.subtypes(scene):
        tried = ask(scene, recipe, templates, data_set, only=(subtype,))
        asked.skipped.extend(tried.skipped)
        if tried.questions:
            asked.questions.extend(tried.questions)
            quota.asked(scene.split, tried.questions[0].type)
            break
    return asked


def _scene_counts(files: Sequence[Path]) -> Counter[tuple[str, bool]]:
    """Count scenes by split and by whether they have several sources, without reading them whole."""
    counts: Counter[tuple[str, bool]] = Counter()
    for path in files:
        for batch in pq.ParquetFile(path).iter_batches(columns=["sources.list.element.onset_s"], use_threads=False):
            lengths = pc.list_value_length(batch["sources"]).to_pylist()
            counts.update((split_of(path), n > 1) for n in lengths)
    return counts


def _bundles(files: Sequence[Path], scenes_per_file: int) -> Iterator[tuple[str, list[Path], int]]:
    """Group consecutive scene files of a split until they hold enough scenes for one file of questions."""
    bundle: list[Path] = []
    rows = 0
    for i, path in enumerate(files):
        split = split_of(path)
        bundle.append(path)
        rows += pq.ParquetFile(path).metadata.num_rows
        last_of_split = i + 1 == len(files) or split_of(files[i + 1]) != split
        if rows >= scenes_per_file or last_of_split:
            yield split, bundle, rows
            bundle, rows = [], 0
