"""Uploads a data set to the Hugging Face hub: file by file in commits, resumable, and compared afterwards."""

import contextlib
import hashlib
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import spatialqa
from spatialqa.core.files import FileRecord
from spatialqa.dataset.card import Published, card_facts, origins
from spatialqa.dataset.folder import DatasetFolder
from spatialqa.dataset.schema import TABLES
from spatialqa.errors import DatasetError, MissingDependencyError, RecipeError, SpatialQAError, UnfinishedError
from spatialqa.interop.hub.published import lay_out
from spatialqa.interop.hub.terms import refuse_forbidden
from spatialqa.interop.without_audio import export_recipes

FILES_PER_COMMIT = 100
BYTES_PER_COMMIT = 1_000_000_000


@dataclass(frozen=True)
class PushSummary:
    """What was uploaded. notes: what a user should know of licences. address: None where nothing was uploaded."""

    repo: str
    files: int
    bytes: int
    uploaded: int
    removed: int
    notes: tuple[str, ...]
    address: str | None

    def lines(self) -> list[str]:
        """Return the summary in words."""
        size = f"{self.files} files, {self.bytes / 1e6:,.1f} MB"
        if self.address is None:
            return [f"would be uploaded to {self.repo}: {size}", "next: the same command without --dry-run"]
        there = self.files - self.uploaded
        lines = [f"{size} in {self.address}: {self.uploaded} uploaded, {there} were there, all sizes agree"]
        if self.removed:
            lines.append(f"{self.removed} files of another version of the data set were removed")
        return [*lines, f'next: load_dataset("{self.repo}", "scenes")']


def push(
    root: Path,
    repo: str,
    *,
    private: bool = False,
    without_audio: bool = False,
    licence: str | None = None,
    dry_run: bool = False,
    progress: Callable[[int, int], None] | None = None,
) -> PushSummary:
    """Upload a data set; a second call uploads what is missing or has changed.

    Args:
        root: the data set, whole.
        repo: NAMESPACE/NAME on the hub; it is made where there is none.
        private: make it private; of one that exists nothing is changed.
        without_audio: upload labels and questions alone, as `export --to recipes` writes them.
        licence: the hub's id of the licence of the whole; by default those of the parts.
        dry_run: check and lay out everything, and upload nothing.
        progress: called with (megabytes done, megabytes in all).

    Raises:
        DatasetError: the data set is not whole, a licence forbids it, or the repository holds something else.
        RecipeError: there is no token, or the name or the licence is none.
        MissingDependencyError: huggingface_hub is not installed.
        UnfinishedError: the network or the hub failed; what was uploaded counts.
    """
    if repo.count("/") != 1 or not all(repo.split("/")):
        raise RecipeError(f"{repo}: is not a repository of the hub: name it as NAMESPACE/NAME")
    folder = DatasetFolder(root)
    run = folder.read_run()
    missing = [name for name in run.plan.shards if folder.committed(name, run.fingerprint_hash) is None]
    if missing and not run.imported:
        raise DatasetError(f"{root}: shard {missing[0]} is missing or damaged; run the render command again, then push")
    facts = card_facts(folder)
    planned = run.engine.name == "none"
    with_audio = not (without_audio or planned or run.export)
    parts = origins(run, facts)
    notes = refuse_forbidden(root, run, parts, facts.room_sets, licence, with_audio)
    with tempfile.TemporaryDirectory(prefix="spatialqa-push-") as scratch:
        source = root
        if without_audio and not (planned or run.export):
            source = Path(scratch) / "recipes"
            export_recipes(root, source)
        stage = Path(scratch) / repo.split("/")[1]
        today = datetime.now(UTC).date().isoformat()
        published = Published(repo, licence, f"https://huggingface.co/datasets/{repo}", today)
        files = lay_out(source, stage, facts, published)
        size = sum(item.bytes for item in files)
        if dry_run:
            return PushSummary(repo, len(files), size, 0, 0, tuple(notes), None)
        uploaded, removed, address = _Upload(repo, stage, files, progress or (lambda *_: None)).run(private)
    return PushSummary(repo, len(files), size, uploaded, removed, tuple(notes), address)


class _Upload:
    """The upload of a folder of files to one repository."""

    def __init__(
        self, repo: str, stage: Path, files: Sequence[FileRecord], progress: Callable[[int, int], None]
    ) -> None:
        try:
            import huggingface_hub
        except ImportError:
            raise MissingDependencyError("push needs huggingface_hub: pip install 'spatialqa[hub]'") from None
        token = huggingface_hub.get_token()
        if token is None:
            raise RecipeError(
                "push needs a token of the Hugging Face hub with write access: set HF_TOKEN, or log in with "
                "`hf auth login` (huggingface.co/settings/tokens)"
            )
        huggingface_hub.utils.disable_progress_bars()  # we have our own
        self._hub = huggingface_hub
        self._api = huggingface_hub.HfApi(token=token, library_name="spatialqa", library_version=spatialqa.__version__)
        self._repo, self._stage, self._files, self._progress = repo, stage, files, progress

    def run(self, private: bool) -> tuple[int, int, str]:
        """Upload what is missing; return how many files were uploaded and removed, and the address."""
        with self._errors():
            address = str(self._api.create_repo(self._repo, repo_type="dataset", private=private, exist_ok=True))
        there = self._there()
        self._refuse_foreign(there)
        missing = [item for item in self._files if not self._is_there(item, there.get(item.path))]
        ours = {item.path for item in self._files}
        stale = sorted(path for path in there if path not in ours and _is_of_data_set(path))
        total = sum(item.bytes for item in self._files)
        done = total - sum(item.bytes for item in missing)
        self._progress(done // 1_000_000, total // 1_000_000)
        for batch in _batches(missing):
            self._commit([self._addition(item) for item in batch], "Upload part of the data set")
            done += sum(item.bytes for item in batch)
            self._progress(done // 1_000_000, total // 1_000_000)
        if stale:
            deletions = [self._hub.CommitOperationDelete(path_in_repo=path) for path in stale]
            self._commit(deletions, "Remove files of another version of the data set")
        self._compare()
        return len(missing), len(stale), address

    def _there(self) -> dict[str, Any]:
        with self._errors():
            entries = self._api.list_repo_tree(self._repo, recursive=True, repo_type="dataset")
            return {entry.path: entry for entry in entries if hasattr(entry, "blob_id")}

    def _refuse_foreign(self, there: dict[str, Any]) -> None:
        """Raise DatasetError where the repository holds what no push of a data set has put there."""
        own = {item.path for item in self._files}
        strange = [path for path in there if path not in own and not _is_of_data_set(path)]
        strange = [path for path in strange if path.rpartition("/")[2] not in (".gitattributes", "README.md")]
        if strange and not any(path.startswith("_spatialqa/") for path in there):
            raise DatasetError(f"{self._repo}: holds other files ({strange[0]}); name a new repository")

    def _is_there(self, item: FileRecord, entry: Any) -> bool:
        if entry is None or entry.size != item.bytes:
            return False
        if entry.lfs is not None:
            return bool(entry.lfs.sha256 == item.sha256)
        return bool(entry.blob_id == _git_blob_id(self._stage / item.path))

    def _addition(self, item: FileRecord) -> Any:
        return self._hub.CommitOperationAdd(path_in_repo=item.path, path_or_fileobj=self._stage / item.path)

    def _commit(self, operations: Sequence[Any], message: str) -> None:
        with self._errors():
            self._api.create_commit(
                self._repo, operations, commit_message=f"{message} with spatialqa", repo_type="dataset"
            )

    def _compare(self) -> None:
        """Raise UnfinishedError where a file is not there as it is here."""
        there = self._there()
        wrong = [item.path for item in self._files if not self._is_there(item, there.get(item.path))]
        if wrong:
            raise UnfinishedError(
                f"{self._repo}: {len(wrong)} files are not there as they are here (the first: {wrong[0]}); push again"
            )

    @contextlib.contextmanager
    def _errors(self) -> Iterator[None]:
        """Turn what the hub's library raises into one line: whatever it raises, it is not an error of ours."""
        try:
            yield
        except SpatialQAError:
            raise
        except Exception as error:
            cause = error.__cause__ if isinstance(error, RuntimeError) and error.__cause__ else error
            status = getattr(getattr(cause, "response", None), "status_code", None)
            if status == 401:
                raise RecipeError(
                    "the hub does not accept this token: set HF_TOKEN to a valid one, or run `hf auth login` again"
                ) from error
            if status == 403:
                raise RecipeError(
                    f"{self._repo}: this token may not write here; name a repository of yours, or make a token with "
                    "write access (huggingface.co/settings/tokens)"
                ) from error
            text = " ".join(str(cause).split()) or type(cause).__name__
            raise UnfinishedError(
                f"{self._repo}: the upload failed ({text[:300]}); the same command resumes it"
            ) from error


def _batches(items: Sequence[FileRecord]) -> Iterator[list[FileRecord]]:
    """Group files, in order, so that no commit is too large."""
    batch: list[FileRecord] = []
    size = 0
    for item in items:
        if batch and (len(batch) == FILES_PER_COMMIT or size + item.bytes > BYTES_PER_COMMIT):
            yield batch
            batch, size = [], 0
        batch.append(item)
        size += item.bytes
    if batch:
        yield batch


def _is_of_data_set(path: str) -> bool:
    """Return whether a path in a repository is one that a data set of ours would have."""
    top, _, rest = path.partition("/")
    return bool(rest) and (top == "_spatialqa" or (top.split("-")[0] in TABLES and path.endswith(".parquet")))


def _git_blob_id(path: Path) -> str:
    data = path.read_bytes()
    return hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()
