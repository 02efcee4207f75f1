"""Fetches ESC-50 from its repository on GitHub, file by file, each checked against git's id of its content."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from urllib.parse import quote

from spatialqa.clips.esc50 import esc50_classes
from spatialqa.clips.fetch.collected import Clip, Fetched, FetchOptions, record, refuse_foreign
from spatialqa.clips.fetch.http import Remote, download, get_json
from spatialqa.clips.listed_files import read_table
from spatialqa.core.ontology import ontology
from spatialqa.errors import DownloadError

HOME = "github.com/karolpiczak/ESC-50"
_TREE = "https://api.github.com"
_RAW = "https://raw.githubusercontent.com"
_REPOSITORY, _BRANCH = "karolpiczak/ESC-50", "master"
_AT_ONCE = 4  # downloads
_COLUMNS = ("filename", "fold", "target", "category", "esc10", "src_file", "take")


def fetch_esc50(dest: Path, options: FetchOptions) -> Fetched:
    """Fetch ESC-50, or some of its classes, in its own layout: meta/esc50.csv, LICENSE, audio/.

    Raises:
        ClipError: the folder holds other things, a class is none, or no clip is left.
        DownloadError: the network or GitHub failed, or a file is not what the repository says.
    """
    wanted = options.wanted_mids()
    refuse_foreign(dest, "esc50")
    files = _files(options.mirror)
    for name in ("LICENSE", "meta/esc50.csv"):
        if name in files:
            download(files[name], dest / name)
    clips = []
    for row in read_table(dest / "meta/esc50.csv", _COLUMNS):
        known = esc50_classes().get(row["category"])
        path = f"audio/{row['filename']}"
        if known is None or path not in files:
            raise DownloadError(f"{HOME}: {row['filename']} is not as expected; the repository has changed")
        mid = ontology().by_name(known[1]).mid
        licence = "CC BY 3.0" if row["esc10"] == "True" else "CC BY-NC 3.0"
        if mid in wanted:
            clips.append(Clip(path, (mid,), licence, f"Freesound clip {row['src_file']}, in ESC-50 (K. J. Piczak)"))
    clips = _within(clips, files, options.max_bytes)
    options.say(f"{len(clips)} clips of ESC-50, {sum(files[clip.path].size for clip in clips) / 1e6:,.0f} MB")
    fetched = already = 0
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        try:
            fresh = pool.map(lambda clip: download(files[clip.path], dest / clip.path), clips)
            for k, (clip, is_fresh) in enumerate(zip(clips, fresh, strict=True), start=1):
                fetched += files[clip.path].size * is_fresh
                already += not is_fresh
                options.progress(k, len(clips))
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise
    return record(dest, "esc50", HOME, options, clips, fetched, already)


def _within(clips: list[Clip], files: dict[str, Remote], max_bytes: int | None) -> list[Clip]:
    """Return the first clips that are not larger than max_bytes together."""
    kept, total = [], 0
    for clip in clips:
        total += files[clip.path].size
        if max_bytes is not None and total > max_bytes:
            break
        kept.append(clip)
    return kept


def _files(mirror: str | None) -> dict[str, Remote]:
    tree, raw = (mirror, mirror) if mirror else (_TREE, _RAW)
    url = f"{tree}/repos/{_REPOSITORY}/git/trees/{_BRANCH}?recursive=1"
    listing: Any = get_json(url)[0]
    if not isinstance(listing, dict) or listing.get("truncated") or not isinstance(listing.get("tree"), list):
        raise DownloadError(f"{url}: is not the whole list of files of a repository")
    return {
        item["path"]: Remote(
            f"{raw}/{_REPOSITORY}/{_BRANCH}/{quote(item['path'])}", int(item["size"]), f"blob:{item['sha']}"
        )
        for item in listing["tree"]
        if item.get("type") == "blob"
    }
