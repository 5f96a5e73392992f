"""Writes the dashboards from their source: python -m deploy.observability.source.generate"""

from collections.abc import Mapping
from pathlib import Path

from deploy.observability.source.platform import platform
from deploy.observability.source.queues import queues
from deploy.observability.source.serving import serving
from deploy.observability.source.training import training
from deploy.observability.source.voice import voice

FOLDER = Path(__file__).parents[1]
CHART = FOLDER.parent / "k8s" / "simorgh"


def dashboards() -> Mapping[str, str]:
    """The text of each file."""
    made = {"platform": platform, "queues": queues, "training": training, "serving": serving, "voice": voice}
    return {f"{name}.json": build() for name, build in made.items()}


def chart_files() -> Mapping[Path, str]:
    """What the Helm chart carries of ours: Helm reads no file outside its folder."""
    rules = {CHART / "rules" / path.name: path.read_text() for path in sorted((FOLDER / "rules").glob("*.yaml"))}
    return rules | {CHART / "dashboards" / name: text for name, text in dashboards().items()}


def main() -> None:
    """Write all files anew."""
    for name, text in dashboards().items():
        (FOLDER / "dashboards").mkdir(exist_ok=True)
        (FOLDER / "dashboards" / name).write_text(text)
    for path, text in chart_files().items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


if __name__ == "__main__":
    main()
