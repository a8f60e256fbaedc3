"""Bytes into files, and files into text: archives, byte order marks, charsets. Everything bounded before it is read."""

import io
import re
import zipfile
import zlib
from collections.abc import Mapping
from typing import Final

from onestop.onboarding.importing.errors import DocumentTooLarge, DocumentUnusable
from onestop.onboarding.importing.models import Spot
from onestop.onboarding.importing.notes import Notes

MAX_BYTES: Final = 4 * 1024 * 1024  # of one document
_MAX_ALL: Final = 16 * 1024 * 1024  # of everything beside it
_MAX_FILES: Final = 300
_DOCUMENTS: Final = (".wsdl", ".json", ".yaml", ".yml", ".xml", ".xsd")
_DECLARED = re.compile(rb"""<\?xml[^>]{0,100}?encoding\s*=\s*["']([A-Za-z0-9._-]{1,30})["']""")
_GZIP: Final = b"\x1f\x8b"
_HIGH_RUNS = re.compile(rb"[\x80-\xff]+")
_MARKS: Final = (
    (b"\xef\xbb\xbf", "utf-8"),
    (b"\xff\xfe\x00\x00", "utf-32-le"),
    (b"\x00\x00\xfe\xff", "utf-32-be"),
    (b"\xff\xfe", "utf-16-le"),
    (b"\xfe\xff", "utf-16-be"),
)
_SAME_AS_GB = {"gbk", "gb2312", "gb18030", "cp936", "x-gbk"}


def check_size(size: int) -> None:
    """Refuse a document that is too large.

    Raises:
        DocumentTooLarge: it is.
    """
    if size > MAX_BYTES:
        raise DocumentTooLarge(most=MAX_BYTES, size=size)


def unpack(data: bytes, name: str, companions: Mapping[str, bytes]) -> tuple[bytes, str, dict[str, bytes]]:
    """Return the main document, its name and what lies beside it; what is compressed is opened, and a ZIP archive.

    Raises:
        DocumentTooLarge: the document, or everything together, is too large.
        DocumentUnusable: the archive cannot be read, or does not say which file is meant.
    """
    check_size(len(data))
    if data.startswith(_GZIP):
        data, name = _inflated(data, name), re.sub(r"(?i)\.gz$", "", name)
    beside = {_clean(path): content for path, content in companions.items()}
    if len(beside) > _MAX_FILES or sum(map(len, beside.values())) > _MAX_ALL:
        raise DocumentTooLarge(most=_MAX_ALL, size=sum(map(len, beside.values())))
    if not data.startswith(b"PK\x03\x04"):
        return data, _clean(name), beside
    inside = _unzip(data, name)
    chosen = main_of(inside, name)
    return inside.pop(chosen), chosen, inside | beside


def _inflated(data: bytes, name: str) -> bytes:
    unpacker = zlib.decompressobj(31)
    try:
        content = unpacker.decompress(data, MAX_BYTES + 1)  # no more than that is ever made of it
    except zlib.error as fault:
        raise DocumentUnusable("zip", file=name, fault=type(fault).__name__) from None
    check_size(len(content))
    return content


def _clean(name: str) -> str:
    parts = [part for part in name.replace("\\", "/").split("/") if part not in ("", ".", "..")]
    return "/".join(parts)[-300:] or "document"


def _unzip(data: bytes, name: str) -> dict[str, bytes]:
    found: dict[str, bytes] = {}
    total = 0
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            entries = [entry for entry in archive.infolist() if not entry.is_dir()]
            if len(entries) > _MAX_FILES:
                raise DocumentUnusable("zip_too_many", file=name, count=len(entries), most=_MAX_FILES)
            for entry in entries:
                if not entry.filename.lower().endswith(_DOCUMENTS):
                    continue
                with archive.open(entry) as stream:
                    content = stream.read(MAX_BYTES + 1)  # counted as it comes: the declared size may lie
                total += len(content)
                if len(content) > MAX_BYTES or total > _MAX_ALL:
                    raise DocumentUnusable("zip_too_large", file=entry.filename[:100], most=_MAX_ALL)
                found[_clean(entry.filename)] = content
    except (zipfile.BadZipFile, zlib.error, RuntimeError, NotImplementedError, EOFError, OSError, ValueError) as fault:
        raise DocumentUnusable("zip", file=name, fault=type(fault).__name__) from fault
    return found


def main_of(inside: Mapping[str, bytes], name: str) -> str:
    """Return which of several files is the document: the one that says so in its first bytes.

    Raises:
        DocumentUnusable: none does, or more than one.
    """
    said = [path for path, content in inside.items() if _says_it_is(path, content)]
    if not said:
        raise DocumentUnusable("zip_no_document", file=name)
    shallow = min(path.count("/") for path in said)
    top = sorted(path for path in said if path.count("/") == shallow)
    if len(top) > 1:
        imported = {path for path in top for other in top if other != path and _names(inside[other], path)}
        top = [path for path in top if path not in imported] or top
    if len(top) > 1:
        raise DocumentUnusable("zip_which", file=name, names=", ".join(top[:8]))
    return top[0]


def _says_it_is(path: str, content: bytes) -> bool:
    head = content[:20_000].replace(b"\0", b"")
    if path.lower().endswith((".wsdl", ".xml")):
        return b"definitions" in head and b"schemas.xmlsoap.org/wsdl" in head
    return bool(re.search(rb"""(?m)^\s*[{]?\s*["']?(openapi|swagger)["']?\s*:""", head))


def _names(content: bytes, path: str) -> bool:
    return path.rpartition("/")[2].encode() in content


def to_text(data: bytes, file: str, notes: Notes) -> str:
    """Return the text of a file: by its byte order mark, its XML declaration, UTF-8, else what its bytes look like.

    Raises:
        DocumentUnusable: empty, not text, or with a NUL.
    """
    text = _decoded(data, file, notes)
    if "\0" in text:
        raise DocumentUnusable("nul", file=file, line=text.count("\n", 0, text.index("\0")) + 1)
    if not text.strip():
        raise DocumentUnusable("empty", file=file)
    return text.replace("\r\n", "\n").replace("\r", "\n")


def _decoded(data: bytes, file: str, notes: Notes) -> str:
    for mark, charset in _MARKS:
        if data.startswith(mark):
            return _strict(data[len(mark) :], charset, file)
    if data[:2] in (b"{\0", b"<\0", b"o\0", b"s\0"):
        return _strict(data, "utf-16-le", file)
    if data[:2] in (b"\0{", b"\0<", b"\0o", b"\0s"):
        return _strict(data, "utf-16-be", file)
    declared = _DECLARED.match(data.lstrip()[:200])
    charset = declared[1].decode().lower() if declared else "utf-8"
    if charset not in ("utf-8", "utf8", "us-ascii", "ascii"):
        return _strict(data, "gb18030" if charset in _SAME_AS_GB else charset, file)
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as fault:
        line = data.count(b"\n", 0, fault.start) + 1
        guess = _looks_like(data)
        try:
            text = data.decode(guess)
        except UnicodeDecodeError:
            raise DocumentUnusable("charset", file=file, line=line, charset="utf-8") from None
        notes.add("charset_guessed", Spot(file=file, line=line), "warning", charset=guess)
        return text


def _strict(data: bytes, charset: str, file: str) -> str:
    try:
        return data.decode(charset)
    except LookupError:
        raise DocumentUnusable("charset_unknown", file=file, charset=charset) from None
    except UnicodeDecodeError as fault:
        line = data.count(b"\n", 0, fault.start) + 1
        raise DocumentUnusable("charset", file=file, line=line, charset=charset) from None


def _looks_like(data: bytes) -> str:
    """Return a charset for bytes that are no UTF-8: Chinese ones come in pairs, accented letters stand alone."""
    runs = _HIGH_RUNS.findall(data[:200_000])
    alone = sum(len(run) == 1 for run in runs)
    return "cp1252" if alone * 2 > len(runs) else "gb18030"
