"""What a file is by its first bytes, where that is not what its name says.

"Get it again" cures a file that was cut off; it does not cure an error page saved under the name of a checkpoint, or a
format of another program. These are told apart here, once a reader has refused them.
"""

from __future__ import annotations

from pathlib import Path

from distilbert_common.files import failed_download

__all__ = ["wrong_content"]

CONTENTS: tuple[tuple[bytes, str, str], ...] = (
    # begins with               is                                     do
    (b"\x89HDF\r\n\x1a\n", "an HDF5 file", "give it a name that ends in .h5"),
    (
        b"PK\x03\x04",
        "a zip archive, as torch.save writes",
        "unpack it, or give it a name that ends in .bin if it is one",
    ),
    (b"BZh", "compressed by bzip2", "unpack it with: bunzip2"),
    (b"\xfd7zXZ\0", "compressed by xz", "unpack it with: unxz"),
    (b"\x28\xb5\x2f\xfd", "compressed by zstd", "unpack it with: unzstd"),
    (b"GGUF", "a GGUF file of llama.cpp", "use the checkpoint that it was made from"),
)
"""How files of other programs begin; a file whose beginning fits its name is not looked up here."""

OWN: dict[str, tuple[bytes, ...]] = {
    "torch": (b"PK\x03\x04", b"\x80"),
    "hdf5": (b"\x89HDF",),
    "keras_hub": (b"\x89HDF",),
    "orbax": (b"{",),
}
"""How files of a container begin, where that is fixed."""

SAFETENSORS = "a safetensors file", "give it a name that ends in .safetensors"

_START = 64


def wrong_content(path: Path, container: str) -> str | None:
    """Return what a file is by its beginning and what to do, or None where that is what its name says.

    Args:
        path: The file.
        container: What its name says that it is.
    """
    with path.open("rb") as file:
        start = file.read(_START)
    if any(start.startswith(magic) for magic in OWN.get(container, ())):
        return None
    if container != "safetensors" and start[8:9] == b"{" and start[4:8] == b"\0\0\0\0":
        return "{} is {}; {}".format(path, *SAFETENSORS)
    if (content := failed_download(start)) is not None:
        return f"{path} is {content}"
    for magic, what, advice in CONTENTS:
        if start.startswith(magic):
            return f"{path} is {what}; {advice}"
    return None
