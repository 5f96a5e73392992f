"""The images' Dockerfiles and what goes into them (R-DEPLOY-2): read here, built by `make deploy-test`."""

import re
import runpy
import subprocess
import sys
from collections.abc import Iterable, Mapping
from functools import cache
from importlib.metadata import packages_distributions
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[3]
SERVICES = ("api", "trainer-worker", "inference", "voice")
# Whole packages: what they start as children is in the image too. Of the shared one, what they import.
PROGRAMS = {
    "api": ("simorgh_api", "simorgh_shared.db.migrate", "simorgh_shared.backup", "simorgh_shared.storage.bucket"),
    "trainer-worker": ("simorgh_trainer", "simorgh_inference"),
    "inference": ("simorgh_inference",),
    "voice": ("simorgh_voice",),
}
FOR_TYPES_ALONE = {"mypy_boto3_s3"}
_IMPORT = re.compile(r"^\s*(?:from\s+([\w.]+)\s+import\s+\(?([\w, ]*)|import\s+([\w.]+))", re.MULTILINE)


@pytest.fixture(scope="module")
def closure() -> dict[str, Any]:
    return runpy.run_path(str(ROOT / "deploy/images/closure.py"))


@pytest.fixture(scope="module")
def owners() -> Mapping[str, list[str]]:
    """Which distributions the installed packages are of."""
    return packages_distributions()


@pytest.fixture(scope="module")
def select() -> Any:
    return runpy.run_path(str(ROOT / "deploy/images/select_packages.py"))["select"]


def dockerfile(service: str) -> str:
    return (ROOT / "services" / service / "Dockerfile").read_text("utf-8")


def last_stage(service: str) -> str:
    return dockerfile(service).rpartition("\nFROM ")[2]


def packages(service: str) -> set[str]:
    lines = (ROOT / "services" / service / "packages.txt").read_text("utf-8").splitlines()
    return {line for line in lines if not line.startswith("#")}


def foreign(roots: Iterable[str], allowed: set[str], owners: Mapping[str, list[str]]) -> dict[str, set[str]]:
    """By our modules that these reach: what they import of distributions that are not allowed."""
    found: dict[str, set[str]] = {}
    seen: set[Path] = set()
    waiting = [path for root in roots for path in files_of(root)]
    while waiting:
        path = waiting.pop()
        if path in seen:
            continue
        seen.add(path)
        for package, names, module in _IMPORT.findall(path.read_text("utf-8")):
            name = package or module
            if name.startswith("simorgh_"):
                waiting += [
                    file
                    for each in (name, *(f"{name}.{part.strip()}" for part in names.split(",")))
                    for file in one(each)
                ]
                continue
            top = name.partition(".")[0]
            of = {re.sub(r"[-_.]+", "-", owner).lower() for owner in owners.get(top, [])}
            if of and not of & allowed and top not in FOR_TYPES_ALONE:
                found.setdefault(str(path.relative_to(ROOT)), set()).add(top)
    assert len(seen) > 20
    return found


def files_of(module: str) -> list[Path]:
    """A module's file, or all files of a package."""
    return [
        file for path in one(module) for file in ([path] if path.name != "__init__.py" else path.parent.rglob("*.py"))
    ]


@cache
def one(module: str) -> tuple[Path, ...]:
    """The file of a module of ours; none where a name is no module."""
    path = module.replace(".", "/")
    roots = [ROOT / "shared/src", *(ROOT / "services" / service / "src" for service in SERVICES)]
    candidates = (root / f"{path}{end}" for root in roots for end in (".py", "/__init__.py"))
    return tuple(file for file in candidates if file.is_file())


def hadolint(*paths: Path) -> subprocess.CompletedProcess[str]:
    program = Path(sys.executable).with_name("hadolint")
    return subprocess.run([program, *paths], capture_output=True, text=True, check=False, timeout=60)


class TestHadolint:
    def test_it_finds_nothing(self) -> None:
        files = [*ROOT.glob("services/*/Dockerfile"), *ROOT.glob("deploy/trial/backing/*.Dockerfile")]
        assert len(files) == 9
        done = hadolint(*files)
        assert (done.returncode, done.stdout) == (0, "")

    def test_it_finds_what_is_wrong(self, tmp_path: Path) -> None:
        (tmp_path / "Dockerfile").write_text("FROM debian:latest\nRUN sudo apt-get install curl\nMAINTAINER nobody\n")
        assert hadolint(tmp_path / "Dockerfile").returncode != 0


@pytest.mark.parametrize("service", SERVICES)
class TestEachImage:
    def test_runs_as_a_number_that_is_not_root(self, service: str) -> None:
        assert re.findall(r"^USER (.+)$", dockerfile(service), re.MULTILINE) == ["10001:10001"]

    def test_starts_a_program_without_a_shell(self, service: str) -> None:
        assert re.search(rf'^CMD \["simorgh-{service}"\]$', dockerfile(service), re.MULTILINE)
        assert "ENTRYPOINT" not in dockerfile(service)

    def test_builds_on_an_engine_of_2020(self, service: str) -> None:
        """Docker 20.10, which Debian has: no `# syntax=` that would be fetched, no heredocs."""
        assert "# syntax=" not in dockerfile(service)
        assert "<<" not in dockerfile(service)

    def test_takes_packages_by_their_hashes_alone(self, service: str) -> None:
        plain = dockerfile(service).replace("\\\n", " ")
        installs = [
            part for line in plain.splitlines() for part in line.split("&&") if re.search(r"\bpip install", part)
        ]
        unhashed = [line for line in installs if "--require-hashes" not in line]
        # What we build ourselves, and torch, of which there are several builds.
        assert [re.findall(r"/wheels/\*\.whl|torch==2\.13\.0", line) != [] for line in unhashed] == [True] * len(
            unhashed
        )
        assert len(installs) == {"api": 3, "voice": 5}.get(service, 4)

    def test_keeps_no_argument_that_may_hold_a_secret(self, service: str) -> None:
        names = set(re.findall(r"^(?:ARG|ENV) (\w+)", dockerfile(service), re.MULTILINE))
        assert names <= {"BASE", "UV_LINK_MODE", "UV_PYTHON_DOWNLOADS", "VARIANT", "VERSION", "REVISION", "PATH"}
        assert "COPY" not in last_stage(service)

    def test_says_what_it_is(self, service: str) -> None:
        for label in ("title", "description", "licenses", "version", "revision"):
            assert f"org.opencontainers.image.{label}=" in dockerfile(service)

    def test_holds_what_its_programs_need_and_no_more(self, service: str, closure: dict[str, Any]) -> None:
        path = ROOT / "services" / service / "packages.txt"
        assert path.read_text("utf-8") == closure["text"](closure["packages"](service)), "run `make lock`"

    def test_its_programs_import_nothing_else(
        self, service: str, closure: dict[str, Any], owners: Mapping[str, list[str]]
    ) -> None:
        allowed = packages(service) | set(closure["OURS"]) | {"torch"}
        assert foreign(PROGRAMS[service], allowed, owners) == {}


class TestTheGatewaysImage:
    def test_it_holds_no_torch_and_nothing_that_computes(self) -> None:
        assert "torch" not in re.sub(r"#.*", "", dockerfile("api"))
        heavy = {"torch", "numpy", "pyarrow", "transformers", "onnxruntime", "openvino", "av", "espeakng-loader"}
        assert not packages("api") & heavy

    def test_only_voice_holds_the_gpl(self) -> None:
        assert [service for service in SERVICES if "espeakng-loader" in packages(service)] == ["voice"]


class TestForeign:
    def test_what_an_image_lacks_is_found(self, closure: dict[str, Any], owners: Mapping[str, list[str]]) -> None:
        allowed = (packages("api") | set(closure["OURS"])) - {"argon2-cffi", "pyyaml"}
        found = foreign(PROGRAMS["api"], allowed, owners)
        assert {"argon2", "yaml"} == {name for names in found.values() for name in names}


class TestSelect:
    def test_it_takes_the_lines_of_the_names_with_their_hashes(self, select: Any) -> None:
        lock = "a==1 \\\n    --hash=sha256:1\nb-c[x]==2 \\\n    --hash=sha256:2\nd==3 \\\n    --hash=sha256:3\n"
        assert select(lock, "# names\nb-c\n") == "b-c[x]==2 \\\n    --hash=sha256:2\n"

    def test_a_name_that_the_lock_does_not_have_is_refused(self, select: Any) -> None:
        with pytest.raises(ValueError, match="the lock has no e"):
            select("a==1 \\\n    --hash=sha256:1\n", "a\ne\n")

    def test_the_lock_has_all_names_of_all_images(self, select: Any) -> None:
        lock = (ROOT / "constraints.txt").read_text("utf-8")
        for service in SERVICES:
            names = (ROOT / "services" / service / "packages.txt").read_text("utf-8")
            assert select(lock, names).count("--hash=sha256:") >= len(packages(service))


class TestTheContext:
    def test_secrets_data_and_history_stay_outside(self) -> None:
        lines = (ROOT / ".dockerignore").read_text("utf-8").splitlines()
        rules = [line for line in lines if line and not line.startswith("#")]
        assert rules[0] == "*"
        assert {line[1:] for line in rules if line.startswith("!")} == {
            "constraints.txt",
            "deploy/images",
            "deploy/trial/backing",
            "services",
            "shared",
        }
