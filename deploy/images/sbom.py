"""Writes the bills of materials that lie in the images, CycloneDX as JSON, to build/sbom: `make sbom`.

They tell the Python packages of an image. What its base holds, the base's maker tells.
"""

import argparse
import os
import subprocess
import sys

from build import ROOT, tag
from closure import IMAGES

BILL = "/opt/simorgh/sbom.cdx.json"


def main() -> None:
    """Write those that were asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--variant", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--prefix", default="simorgh")
    arguments = parser.parse_args()
    folder = ROOT / "build/sbom"
    folder.mkdir(parents=True, exist_ok=True)
    engine = os.environ.get("ENGINE", "docker")
    for image in IMAGES:
        name = tag(image, arguments.variant, arguments.prefix)
        words = [engine, "run", "--rm", "--network", "none", "--read-only", name, "cat", BILL]
        path = folder / f"{name.rpartition('/')[2].replace(':', '-')}.cdx.json"
        path.write_bytes(subprocess.run(words, check=True, capture_output=True).stdout)
        sys.stdout.write(f"{path.relative_to(ROOT)}\n")


if __name__ == "__main__":
    main()
