"""Where the laptop's S3 keeps its objects: for who only wants to know whether something has changed.

What an object holds is asked from S3 itself.
"""

from pathlib import Path


def folder_of(home: Path, account_id: str, bucket: str) -> Path:
    """Return the folder of a bucket's objects: an object is at its key, and its metadata beside it."""
    return objects_folder(home) / account_id / bucket


def objects_folder(home: Path) -> Path:
    """Return the folder of all buckets of a system whose state is in `home`."""
    return home / "s3"


def state_of(folder: Path) -> str:
    """Return a text that changes when a file comes into a folder, into one of its folders, or leaves it.

    A folder that is not there has no files.
    """
    try:
        folders = [folder, *sorted(each for each in folder.iterdir() if each.is_dir())]
        return " ".join(f"{each.name}:{each.stat().st_mtime_ns}" for each in folders)
    except FileNotFoundError:  # a compaction may have deleted one meanwhile
        return ""
