"""Every reader of text that people bring, against one table of malformed files: the line is named, nothing guessed.

A reader here takes a file and gives the texts that it found; what it notes as a problem, or raises, is told in words.
"""

from __future__ import annotations

import io
import json
import tarfile
import unicodedata
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path, PurePath
from typing import Any

import pytest
from PIL import Image

from inkontext.cues import read_cues
from inkontext.data.formats import open_set
from inkontext.data.stream import ImageSource
from inkontext.data.tokenizer import corpus_lines
from inkontext.data.world.bench import read_bench
from inkontext.data.world.outside import Outside
from inkontext.errors import DataError, InKontextError, OptionError
from inkontext.evaluation.autoencoder.pictures import from_folder
from inkontext.evaluation.identity.data import read_pairs, read_series
from inkontext.evaluation.kontextbench.data import open_bench
from inkontext.evaluation.preference import data as preference
from inkontext.evaluation.preference.study import Study, Trial
from inkontext.evaluation.preference.votes import import_votes
from inkontext.evaluation.t2i.prompts import read_prompts
from inkontext.evaluation.world.systems import Folder as Given

Told = tuple[list[str], str]  # the texts in order, and every complaint
Read = Callable[[Path], Told]


def row(text: str, number: int) -> dict[str, Any]:
    """A line that every reader of JSON takes: `before` and `after` are names of the text."""
    return {
        "file_name": "a.png", "output": "a.png", "instruction": text, "prompt": text, "key": text,
        "category": "Text Editing", "image_idx": number, "prompt_idx": 0, "before": "a.png", "after": "a.png",
    }  # fmt: skip


def training(path: Path) -> Told:
    found = open_set(path)
    return [r.instruction for r in found.rows], "; ".join(f"{p.brief}" for p in found.problems)


def kontextbench(path: Path) -> Told:
    path.rename(path.parent / "metadata.jsonl")
    bench = open_bench(str(path.parent))
    told = [f"{p.name} {p.detail}" for p in bench.problems if p.kind != "missing category"]
    return [i.instruction for i in bench.items], "; ".join(told)


def identity(path: Path) -> Told:
    found = read_pairs([str(path)])
    assert [s.key for s in found.series] == [s.key for s in read_series([str(path)]).series]
    told = [f"{p.name} {p.detail}" for p in found.problems if p.kind != "unknown field"]
    return [s.key for s in found.series], "; ".join(told)


def votes(path: Path) -> Told:
    path.rename(path.with_suffix(".csv"))
    trials = tuple(Trial(f"t{n}", "k", "a", "b", None, 0, ("look",), ("x", "y"), (), "", "") for n in range(9))
    (done,) = import_votes(
        path.parent, Study("s", 0, ("a", "b"), {"look": "?"}, trials, None, {}), [path.with_suffix(".csv")]
    )
    told = "; ".join(f"line {n} {why}" for n, why in done.refused)
    return ["taken"] * done.taken, told


def world(path: Path) -> Told:
    (path.parent / "test").mkdir()
    path.rename(path.parent / "test/metadata.jsonl")
    return [r["instruction"] for r in read_bench(path.parent)], ""


def stickers(path: Path) -> Told:
    path.rename(path.parent / "names.json")
    return list(Outside(emoji=path.parent).sticker_names("train")), ""


LINES: dict[str, Read] = {
    "training": training,
    "kontextbench": kontextbench,
    "identity": identity,
    "preference": lambda path: ([p.instruction or "" for p in preference.read_prompts(path).values()], ""),
    "t2i": lambda path: ([p.text for p in read_prompts(path).prompts], ""),
    "tokenizer": lambda path: (corpus_lines(path), ""),
    "world's bench": world,
}
TEXTS: dict[str, Read] = {
    "t2i": lambda path: ([p.text for p in read_prompts(path).prompts], ""),
    "tokenizer": lambda path: (corpus_lines(path), ""),
}


@contextmanager
def complaints() -> Iterator[list[str]]:
    """What is raised, as one sentence."""
    told: list[str] = []
    try:
        yield told
    except InKontextError as error:
        told.append(str(error))
        assert "\n" not in told[0] and ";" in told[0] and error.exit_code == 2


def complaint(read: Read, path: Path) -> str:
    """What a reader says against a file; "" where it takes it as it is."""
    with complaints() as told:
        told.append(read(path)[1])
    return told[0]


def file(folder: Path, name: str, data: bytes) -> Path:
    Image.new("RGB", (8, 8)).save(folder / "a.png")
    (folder / name).write_bytes(data)
    return folder / name


def tar_of(path: Path, members: Mapping[str, bytes]) -> Path:
    with tarfile.open(path, "w") as archive:
        for name, data in members.items():
            member = tarfile.TarInfo(name)
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
    return path


# ------------------------------------------------------------------ lines of JSON


def jsonl(second: str) -> str:
    return f"{json.dumps(row('one', 0))}\n{second}\n{json.dumps(row('three', 2))}\n"


PLAIN = json.dumps(row("two", 1))
BAD_LINES = {
    "no JSON": (jsonl("{nonsense"), "not valid JSON"),
    "cut short": (jsonl(PLAIN)[:-30], "not valid JSON"),
    "a field twice": (jsonl(PLAIN[:-1] + ', "prompt": "else"}'), "twice"),
    "half a character": (jsonl(json.dumps(row("\ud83d", 1))), "surrogate"),
    "a backslash": (jsonl(PLAIN.replace("a.png", r"x\a.png")), "write /"),
    "cp1252": (jsonl(PLAIN).replace("two", "café").encode("cp1252"), "UTF-8"),
    "UTF-16": (jsonl(PLAIN).encode("utf-16"), "UTF-16"),
    "zeros": (jsonl(PLAIN).encode("utf-16-le"), "UTF-16"),
    "no object": (jsonl("[1]"), ""),
}
GOOD_LINES = {
    "plain": (jsonl(PLAIN), "two"),
    "a mark": ("\ufeff" + jsonl(PLAIN), "two"),
    "of Windows": (jsonl(PLAIN).replace("\n", "\r\n"), "two"),
    "empty lines": (jsonl(PLAIN).replace("\n", "\n\n"), "two"),
    "no last newline": (jsonl(PLAIN)[:-1], "two"),
    "U+2028 and U+0085 in a string": (
        jsonl(json.dumps(row("tw\u2028o\x85t", 1), ensure_ascii=False)), "tw\u2028o\x85t"
    ),
}  # fmt: skip


@pytest.mark.parametrize("bad", BAD_LINES)
@pytest.mark.parametrize("reader", LINES)
def test_bad_lines_of_json_are_named(reader: str, bad: str, tmp_path: Path) -> None:
    text, words = BAD_LINES[bad]
    path = file(tmp_path, "set.jsonl", text.encode("utf-8", "surrogatepass") if isinstance(text, str) else text)
    if (reader, bad) == ("world's bench", "no object"):
        return  # it gives rows as they are
    told = complaint(LINES[reader], path)
    wrong = 3 if bad == "cut short" else 2
    assert words in told
    if bad not in ("UTF-16", "zeros"):
        assert f"line {wrong}" in told or f"set.jsonl:{wrong}" in told or f"entry {wrong}" in told


@pytest.mark.parametrize("good", GOOD_LINES)
@pytest.mark.parametrize("reader", LINES)
def test_good_lines_of_json_are_read(reader: str, good: str, tmp_path: Path) -> None:
    text, second = GOOD_LINES[good]
    if reader in ("kontextbench", "identity") and "U+2028" in good:
        text = text.replace('"key": "tw\u2028o\x85t"', '"key": "two"')  # a key must name a file
        second = "two" if reader == "identity" else second
    told = LINES[reader](file(tmp_path, "set.jsonl", text.encode()))
    assert told == (["one", second, "three"], "")


# ------------------------------------------------------------------ tables


def csv_file(second: str, end: str = "\n") -> str:
    return end.join(("image,prompt", "a.png,one", second, "a.png,three", ""))


CSVS: dict[str, Read] = {"training": training, "t2i": TEXTS["t2i"]}
BAD_TABLES = {
    "a comma": (csv_file("a.png,red, please"), "3: has 3 cells"),
    "a cell too few": (csv_file("a.png"), "3: has 1 cell,"),
    "an open quotation mark": (csv_file('a.png,"two'), "3: opens a quotation mark"),
    "a stray quotation mark": (csv_file('a.png,"two" and'), "3: is no CSV"),
    "semicolons": (csv_file("a.png,two").replace(",", ";"), "separated by semicolons; save it with commas"),
    "tabs": (csv_file("a.png,two").replace(",", "\t"), "separated by tabs; save it with commas"),
    "UTF-16": (csv_file("a.png,two").encode("utf-16"), "UTF-16"),
    "cp1252": (csv_file("a.png,café").encode("cp1252"), "line 3, 0xe9"),
    "a column twice": (csv_file("a.png,two").replace("image", "prompt"), "'prompt' twice"),
}
GOOD_TABLES = {
    "plain": (csv_file("a.png,two"), "two"),
    "a mark": ("\ufeff" + csv_file("a.png,two"), "two"),
    "of Windows": (csv_file("a.png,two", "\r\n"), "two"),
    "quotation marks": (csv_file('a.png,"red, please"'), "red, please"),
    "a newline in a cell": (csv_file('"a.png","two\ntwo"'), "two\ntwo"),
    "blanks in the first line": (csv_file("a.png,two").replace("image,prompt", "image, prompt"), "two"),
    "U+2028 and a form feed": (csv_file("a.png,tw\u2028o\x0ct"), "tw\u2028o\x0ct"),
}


@pytest.mark.parametrize("bad", BAD_TABLES)
@pytest.mark.parametrize("reader", CSVS)
def test_bad_tables_are_named(reader: str, bad: str, tmp_path: Path) -> None:
    text, words = BAD_TABLES[bad]
    path = file(tmp_path, "set.csv", text.encode() if isinstance(text, str) else text)
    told = complaint(CSVS[reader], path).replace("(", "").replace(f"line 3 of '{path}'", "3:").replace("csv:3 ", "3: ")
    assert words in told


@pytest.mark.parametrize("good", GOOD_TABLES)
@pytest.mark.parametrize("reader", CSVS)
def test_good_tables_are_read(reader: str, good: str, tmp_path: Path) -> None:
    text, second = GOOD_TABLES[good]
    assert CSVS[reader](file(tmp_path, "set.csv", text.encode())) == (["one", second, "three"], "")


@pytest.mark.parametrize("reader", TEXTS)
@pytest.mark.parametrize(
    ("lines", "words"),
    [
        (("Prompt\tCategory\tNote", "a\tb\tc", "d\te"), "line 3 of"),
        (("Prompt\tCategory\tNote", "a\tb", "d\te\tf"), "line 2 of"),
        (("Prompt\tCategory\tNote", "a\tb\tc\td", "d\te\tf"), "line 2 of"),
    ],
)
def test_tabs_that_are_missing_or_too_many_are_named(
    reader: str, lines: tuple[str, ...], words: str, tmp_path: Path
) -> None:
    assert words in complaint(TEXTS[reader], file(tmp_path, "set.tsv", "\n".join(lines).encode()))


VOTE = "s,ann,{},look,left"
VOTES = ("study,rater,trial,dimension,choice", VOTE.format("t0"), VOTE.format("t1"))


@pytest.mark.parametrize(
    ("data", "told"),
    [
        ("\n".join(VOTES).encode("utf-8-sig"), (2, "")),
        ("\n".join(VOTES).replace(",", ";").encode(), (2, "")),  # what some spreadsheets make of a vote file
        ("\n".join((*VOTES, VOTE.format('"t2'))).encode(), (2, "line 4 malformed")),
        ("\n".join((*VOTES, VOTE.format("t2").replace("ann", "an\u2028n"))).encode(), (2, "line 4 the rater's name")),
        ("\n".join(VOTES).encode("utf-16"), (0, "UTF-16")),
        ("\n".join((*VOTES, VOTE.format("t2").replace("ann", "zoé"))).encode("cp1252"), (0, "line 4")),
    ],
)
def test_files_of_votes(data: bytes, told: tuple[int, str], tmp_path: Path) -> None:
    taken: list[str] = []
    with complaints() as said:
        taken, words = votes(file(tmp_path, "votes.txt", data))
        said.append(words)
    assert len(taken) == told[0] and told[1] in said[0] and bool(said[0]) == bool(told[1])


# ------------------------------------------------------------------ plain text and JSON


@pytest.mark.parametrize("reader", TEXTS)
def test_plain_lines(reader: str, tmp_path: Path) -> None:
    text = "\ufeffone\r\ntw\u2028o\x85\x0bt\n\nthree"
    assert TEXTS[reader](file(tmp_path, "a.txt", text.encode()))[0] == ["one", "tw\u2028o\x85\x0bt", "three"]
    assert "line 2" in complaint(TEXTS[reader], file(tmp_path, "a.txt", "one\ncafé".encode("cp1252")))
    assert "UTF-16" in complaint(TEXTS[reader], file(tmp_path, "a.txt", "one".encode("utf-16")))


@pytest.mark.parametrize(
    "data", ["\ufeffcaf\u00e9\n".encode(), "café".encode("cp1252"), "é".encode("utf-16"), b"x" * 2_000_000]
)
def test_a_text_beside_a_picture_or_in_a_shard(data: bytes, tmp_path: Path) -> None:
    (tmp_path / "set").mkdir()
    file(tmp_path / "set", "a.txt", data)
    shard = tar_of(tmp_path / "a.tar", {"a.png": (tmp_path / "set/a.png").read_bytes(), "a.txt": data})
    for place in (tmp_path / "set", shard):
        found = open_set(place)
        kinds = [problem.kind for problem in found.problems]
        if data.startswith(b"\xef\xbb\xbf"):
            assert (found.rows[0].instruction, kinds) == ("café", [])
        else:
            words = {b"caf\xe9": "line 1, 0xe9", b"x" * 2_000_000: "is longer than"}.get(data, "UTF-16")
            assert kinds == ["bad row"] and words in found.problems[0].detail


JSONS: dict[str, tuple[Read, str]] = {
    "t2i": (TEXTS["t2i"], '["one"]'),
    "tokenizer": (TEXTS["tokenizer"], '["one"]'),
    "cues": (
        lambda path: ([cue.kind for cue in read_cues([str(path)], (8, 8))], ""),
        '{"cues": [{"kind": "box", "points": [[0, 0], [1, 1]]}]}',
    ),
    "stickers": (stickers, json.dumps({f"{n}.png": f"one {n * 'x'}" for n in range(1, 24)})),
}


@pytest.mark.parametrize("reader", JSONS)
def test_files_of_json(reader: str, tmp_path: Path) -> None:
    read, text = JSONS[reader]
    assert read(file(tmp_path, "a.json", text.encode("utf-8-sig")))[0]
    assert "UTF-16" in complaint(read, file(tmp_path, "a.json", text.encode("utf-16")))
    bad = text.replace("one", "café").replace("box", "bôx")
    assert "line 1" in complaint(read, file(tmp_path, "a.json", bad.encode("cp1252")))
    assert complaint(read, file(tmp_path, "a.json", text[:-1].encode()))


# ------------------------------------------------------------------ folders of pictures

NFC, NFD = (unicodedata.normalize(form, "Café") for form in ("NFC", "NFD"))
LEFT_BEHIND = (
    ".ipynb_checkpoints/b-checkpoint.png", "._a.png", "__MACOSX/._a.png", "@eaDir/a.jpg", ".DS_Store", "Thumbs.db",
)  # fmt: skip


def shown(folder: Path) -> list[str]:
    return list(Outside(folder).photo_names("train"))


FOLDERS: dict[str, Callable[[Path], list[str]]] = {
    "captions": lambda folder: [row.key for row in open_set(folder).rows],
    "autoencoder's stage": lambda folder: [path.name for path in ImageSource(folder, 16).files],
    "photographs of the world": shown,
    "eval autoencoder": lambda folder: [entry.name for entry in from_folder(folder, 32).entries],
    "eval identity": lambda folder: [s.key for s in read_pairs([str(folder), f"b={folder}"]).series],
    "eval preference": lambda folder: list(preference.read_systems([f"a={folder}", f"b={folder}"])["a"]),
    "eval with --outputs": lambda folder: list(Given(folder).files),
}


@pytest.mark.parametrize("reader", FOLDERS)
def test_what_programs_leave_in_a_folder_is_no_data(reader: str, tmp_path: Path) -> None:
    folder = tmp_path / "pictures"
    for name in ("one.png", "two.webp", *LEFT_BEHIND):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (64, 64)).save(folder / name, "PNG")
    (folder / "three.png").mkdir()
    for name in ("one", "two", ".ipynb_checkpoints/b-checkpoint", "._a"):
        (folder / f"{name}.txt").write_text("x")
    assert sorted(PurePath(name).stem for name in FOLDERS[reader](folder)) == ["one", "two"]
    if reader == "captions":
        assert open_set(folder).problems == []


def test_what_programs_leave_in_a_shard_or_beside_files_of_lines(tmp_path: Path) -> None:
    file(tmp_path, "set.jsonl", jsonl(PLAIN).encode())
    (tmp_path / "._set.jsonl").write_bytes(bytes(200))
    assert [row.instruction for row in open_set(tmp_path).sound()] == ["one", "two", "three"]
    picture = (tmp_path / "a.png").read_bytes()
    hidden = dict.fromkeys(("./.ipynb_checkpoints/0001.target.png", "__MACOSX/0002.target.png"), picture)
    shard = tar_of(tmp_path / "a.tar", {"./0001.target.png": picture, "./0001.txt": b"x"} | hidden)
    (found,) = open_set(shard).sound()
    assert (found.key, found.instruction) == ("./0001", "x")


@pytest.mark.parametrize(("one", "other"), [(NFC, NFD), (NFD, NFC)])
def test_twins_whose_names_are_one_text_belong_together(one: str, other: str, tmp_path: Path) -> None:
    """As they come from two kinds of file system; shown, the names look alike."""
    for place, name in (("target", one), ("reference", other), ("mask", other)):
        (tmp_path / place).mkdir()
        Image.new("RGB", (64, 64)).save(tmp_path / place / f"{name}.png")
    (tmp_path / f"target/{other}.txt").write_text("x")
    (found,) = open_set(tmp_path).sound()
    assert (found.key, found.instruction, len(found.references), bool(found.mask)) == (NFC, "x", 1, True)
    assert all(blob.picture().size == (64, 64) for blob in found.pictures)
    pairs = read_pairs([str(tmp_path / "target"), str(tmp_path / "reference")])
    assert [all(p.is_file() for p in s.pictures) for s in pairs.series] == [True] and not pairs.problems
    systems = preference.read_systems([f"a={tmp_path / 'target'}", f"b={tmp_path / 'reference'}"])
    assert preference.common_keys(systems, None) == ([NFC], {})


def test_two_pictures_whose_names_are_one_text_are_refused(tmp_path: Path) -> None:
    for name in (NFC, NFD):
        Image.new("RGB", (64, 64)).save(tmp_path / f"{name}.png")
        (tmp_path / f"{name}.txt").write_text("x")
    assert "two files of one name" in {problem.kind for problem in open_set(tmp_path).problems}
    for read in (FOLDERS["eval preference"], FOLDERS["eval with --outputs"]):
        with pytest.raises(OptionError, match="holds two pictures of one name"):
            read(tmp_path)


def named(reader: str, path: Path, name: str) -> list[Path]:
    """The files of a row that names its pictures so."""
    fields = row("one", 0) | dict.fromkeys(("file_name", "output", "before", "after"), name)
    path.write_text(json.dumps(fields, ensure_ascii=False) + "\n", encoding="utf-8")
    if reader == "training":
        (found,) = open_set(path).sound()
        return [Path(blob.file) for blob in found.pictures]
    if reader == "kontextbench":
        return [open_bench(str(path.parent)).items[0].file]
    if reader == "identity":
        return list(read_pairs([str(path)]).series[0].pictures)
    return list(preference.read_prompts(path)["one"].references)


@pytest.mark.parametrize("reader", ["training", "kontextbench", "identity", "preference"])
@pytest.mark.parametrize(
    "name", [r"images\new\a.png", "images/new/a.png", f"images/{NFC}.png", f"images/{NFD}.png", rf"images\{NFC}.png"]
)
def test_a_row_names_its_picture_as_another_system_does(reader: str, name: str, tmp_path: Path) -> None:
    (tmp_path / "images/new").mkdir(parents=True)
    for there in ("new/a", NFD if NFC in name else NFC):
        Image.new("RGB", (8, 8)).save(tmp_path / f"images/{there}.png")
    files = named(reader, tmp_path / "metadata.jsonl", name)
    assert files and all(found.is_file() for found in files)


def test_a_table_made_on_windows(tmp_path: Path) -> None:
    (tmp_path / "images").mkdir()
    Image.new("RGB", (8, 8)).save(tmp_path / "images/a.png")
    data = '\ufeffimage,kontext_images,prompt\r\nimages\\a.png,images\\a.png,"red, please"\r\n'
    (tmp_path / "metadata.csv").write_bytes(data.encode())
    (found,) = open_set(tmp_path).sound()
    assert found.instruction == "red, please" and all(blob.size() == (8, 8) for blob in found.pictures)


def test_a_row_of_kontextbench_does_not_leave_its_folder_by_backslashes(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="file_name leaves the folder"):
        named("kontextbench", tmp_path / "metadata.jsonl", r"..\secret.png")
