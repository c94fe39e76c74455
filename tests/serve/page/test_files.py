"""The files of the pages: they hold together, speak two languages and need nothing from elsewhere."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from importlib.resources import files
from pathlib import Path

import httpx
import pytest

from crossaisle.data.kinds import DEEDS, ROLES
from crossaisle.data.query import PLACEMENTS
from crossaisle.serve.service import ShopService
from tests.serve.conftest import talk

FOLDER = Path(str(files("crossaisle.serve.api") / "page"))
FILES = {path.relative_to(FOLDER).as_posix(): path.read_text() for path in FOLDER.rglob("*.*")}
SCRIPTS = {name: text for name, text in FILES.items() if name.endswith(".js")}
PAGES = {name: text for name, text in FILES.items() if name.endswith(".html")}
SCRIPT = "\n".join(SCRIPTS.values())


READ = """
const say = (word, ...values) => { try { return word(...values); } catch { return word(["a", "b"]); } };
const out = {};
for (const lang of ["en", "zh"]) {
  out[lang] = {};
  for (const file of [lang, `console-${lang}`]) {
    const words = (await import(`${process.argv[1]}/words/${file}.js`)).default;
    for (const [name, word] of Object.entries(words)) {
      if (name in out[lang]) throw Error(`${lang}: ${name} is there twice`);
      out[lang][name] = typeof word === "function" ? say(word, "1", "2", "3", "4") : word;
    }
  }
}
console.log(JSON.stringify(out));
"""


@pytest.fixture(scope="module")
def words() -> dict[str, dict[str, str]]:
    """Language -> word -> what it says; functions are called with `1`, `2`, ..."""
    node = shutil.which("node")
    if node is None:
        pytest.skip("needs node, to read the words")
    done = subprocess.run(
        [node, "--input-type=module", "-e", READ, FOLDER.as_uri()],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found: dict[str, dict[str, str]] = json.loads(done.stdout)
    return found


def test_every_word_is_there_in_both_languages(words: dict[str, dict[str, str]]) -> None:
    assert set(words["en"]) == set(words["zh"])
    used = set(re.findall(r'data-(?:t|label|hint)="(\w+)"', "\n".join(PAGES.values())))
    used |= set(re.findall(r'\bt\("(\w+)"', SCRIPT))
    used |= {f"role_{role}" for role in ROLES} | {f"placement_{one}" for one in PLACEMENTS}
    deeds = {ROLES[code] for code in DEEDS if code >= 0} | {"chosen"}
    used |= {f"{what}_{deed}" for what in ("did", "does", "before", "verb", "fits") for deed in deeds}
    assert used <= set(words["en"]), used - set(words["en"])
    assert not [text for text in [*words["en"].values(), *words["zh"].values()] if "undefined" in str(text)]
    # Chinese is Chinese: nothing was left in English but names that are the same everywhere.
    latin = {name for name, text in words["zh"].items() if not re.search(r"[\u4e00-\u9fff]", str(text))}
    assert latin <= {"why_gap", "why_end", "did_all"}


def test_every_word_is_used(words: dict[str, dict[str, str]]) -> None:
    text = "\n".join([SCRIPT, *PAGES.values()])
    made = r"problem_|role_|placement_|did_|does_|before_|verb_|fits_|section_|about_|kind_|metric_|mean_"
    made += r"|action_|rules_from_|every_"
    text = text.replace("t(`", 't("')
    unused = {name for name in words["en"] if not re.match(made, name) and f'"{name}"' not in text}
    assert not unused


def test_the_scripts_find_what_they_look_for() -> None:
    for page, folder in (("index.html", "shop"), ("console.html", "console")):
        ids = set(re.findall(r'\bid="([\w-]+)"', PAGES[page]))
        own = "\n".join(text for name, text in SCRIPTS.items() if name.split("/")[0] in (folder, "lib"))
        made = set(re.findall(r'id: "([\w-]+)"', own)) | {"visitor", "visitor-title"}
        assert set(re.findall(r'\$\("([\w-]+)"\)', own)) <= ids | made


def test_nothing_comes_from_elsewhere_and_nothing_is_markup() -> None:
    for text in FILES.values():
        assert not re.search(r"(src|href|url|import|fetch)\W{1,3}https?:", text)
    assert not re.search(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write", SCRIPT)
    for page in PAGES.values():  # the content security policy would stop these
        assert not re.search(r"\son\w+=|style=|<script>|<style", page)


def test_the_files_are_served_with_a_strict_policy(service: ShopService) -> None:
    async def conversation(client: httpx.AsyncClient) -> None:
        for path in ("/", "/console"):
            answer = await client.get(path)
            assert answer.headers["content-type"].startswith("text/html")
            assert (
                "script-src 'self'; style-src 'self'; img-src 'self' data: blob:;"
                in (answer.headers["content-security-policy"])
            )
        kinds = {"js": "text/javascript", "css": "text/css", "svg": "image/svg+xml"}
        for name in set(FILES) - set(PAGES):
            answer = await client.get(f"/page/{name}")
            assert answer.status_code == 200
            assert answer.headers["content-type"].startswith(kinds[name.rsplit(".", 1)[1]])
        for name, text in SCRIPTS.items():
            for path in re.findall(r'from "(\.[^"]+)"', text):
                assert (FOLDER / name).parent.joinpath(path).resolve().is_file(), f"{name}: {path}"

    talk(service, conversation)


def test_pictures_of_named_hosts_may_be_shown(shop_folder: Path, tmp_path: Path) -> None:
    hosts = ["img.example.com", "127.0.0.1:9000", "::1"]
    service = ShopService.open(shop_folder, tmp_path / "s.sqlite", image_hosts=hosts)

    async def conversation(client: httpx.AsyncClient) -> None:
        policy = (await client.get("/")).headers["content-security-policy"]
        assert "img-src 'self' data: blob: 127.0.0.1:9000 img.example.com;" in policy

    talk(service, conversation)
    service.close()


@pytest.fixture
def shop_folder(model: Path) -> Path:
    return model
