"""Fetch an adapter's files from the Hugging Face hub, through its own cache and offline mode."""

from __future__ import annotations

from pathlib import Path

from armature import hub
from armature.errors import CheckpointError


class HubFolder:
    """One folder of a hub repository, whose files are downloaded when asked for and not cached.

    repo: owner/name. revision: branch, tag or commit; None for the main branch. subfolder: inside it, or "".
    unreachable: whether a file was neither cached nor could the hub be asked for it. cached: names of those that were
    there all the same.
    """

    def __init__(self, repo: str, revision: str | None = None, subfolder: str = "") -> None:
        self.repo, self.revision, self.subfolder = repo, revision, subfolder
        self.unreachable = False
        self.cached: list[str] = []

    def get(self, name: str) -> Path | None:
        """The local path of a file, or None when the repository does not have it or cannot be reached.

        Raises CheckpointError for an unknown or closed repository, or an unknown revision.
        """
        from huggingface_hub import hf_hub_download, try_to_load_from_cache
        from huggingface_hub.errors import (
            EntryNotFoundError,
            GatedRepoError,
            HFValidationError,
            LocalEntryNotFoundError,
            RepositoryNotFoundError,
            RevisionNotFoundError,
        )

        try:
            # Where the hub does not answer, only the cache is asked: being offline costs one question.
            if self.unreachable or hub.unreachable():
                inside = f"{self.subfolder}/{name}" if self.subfolder else name
                path = try_to_load_from_cache(self.repo, inside, revision=self.revision)
                if not isinstance(path, str):
                    self.unreachable = True
                    return None
            else:
                path = hf_hub_download(self.repo, name, subfolder=self.subfolder or None, revision=self.revision)
            self.cached.append(name)
            return Path(path)
        except LocalEntryNotFoundError:
            self.unreachable = True
            return None
        except EntryNotFoundError:
            return None
        except GatedRepoError as error:
            raise CheckpointError(
                f"{self.repo} is open only to those who accepted its licence; accept it on its page and log in with "
                "`hf auth login`."
            ) from error
        except RepositoryNotFoundError as error:
            raise CheckpointError(
                f"{self.repo} is neither a file or folder here nor a public repository on the hub; check the spelling, "
                "or log in if it is private."
            ) from error
        except RevisionNotFoundError as error:
            raise CheckpointError(
                f"{self.repo} has no revision {self.revision!r}; leave it out, or name a branch, tag or commit."
            ) from error
        except HFValidationError as error:
            raise CheckpointError(f"{self.repo!r} is no hub id; expected owner/name. Check the spelling.") from error
        except OSError as error:
            raise CheckpointError(
                f"{self.repo} cannot be fetched from the hub: {error}. Try again, or give a local file."
            ) from error

    def weight_names(self) -> list[str]:
        """Names of the weight files in the repository, or none when the hub cannot be asked."""
        if self.unreachable or hub.unreachable():
            return []
        from huggingface_hub import list_repo_files

        try:
            names = list_repo_files(self.repo, revision=self.revision)
        except Exception:  # the list only makes a choice or a message better; without it both go on as they are
            return []
        inside = f"{self.subfolder}/" if self.subfolder else ""
        endings = (".safetensors", ".pth", ".pt", ".bin", ".ckpt")
        return [name.removeprefix(inside) for name in names if name.startswith(inside) and name.endswith(endings)]

    def missing(self) -> str:
        """Why no weights were found here."""
        place = f"{self.repo}/{self.subfolder}" if self.subfolder else self.repo
        if self.unreachable and self.cached:
            return (
                f"{place} is in the hub's cache only in part: {', '.join(self.cached)} is there and its weights are "
                "not, and the hub cannot be reached (or offline mode is on). Go online once, or give a local file."
            )
        if self.unreachable:
            return (
                f"{place} is no file or folder here, is not in the hub's cache, and the hub cannot be reached (or"
                " offline mode is on). Go online once, or give a local file."
            )
        return f"{place} has no adapter weights on the hub"
